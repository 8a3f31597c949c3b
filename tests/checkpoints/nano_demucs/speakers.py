"""Who says it: espeak-ng's voices, some of which are only heard when the model is scored."""

import random

from tests.checkpoints.nano_demucs.sentences import sentence
from tests.checkpoints.nano_whisper.speech import Audio, Voice, speak_words

_ACCENTS = {"en": ("en-us", "en", "en-gb-x-rp", "en-gb-scotland"), "vi": ("vi", "vi-vn-x-south", "vi-vn-x-central")}
_VARIANTS = (
    *("", "", "+f1", "+f2", "+f3", "+f5", "+m1", "+m2", "+m3", "+m5", "+m7"),
    *("+Annie", "+Andy", "+Lee", "+linda", "+Michael", "+steph", "+adam"),
)
_HELD_OUT_VARIANTS = ("+f4", "+m4", "+m6", "+Denis", "+anika", "+robosoft4")


def utterance(rng: random.Random, *, held_out: bool = False) -> Audio:
    """A sentence said by somebody: 16 kHz mono; one in three in Vietnamese."""
    language = "vi" if rng.random() < 1 / 3 else "en"
    voice = Voice(
        rng.choice(_ACCENTS[language]) + rng.choice(_HELD_OUT_VARIANTS if held_out else _VARIANTS),
        rate=rng.randint(110, 220),
        pitch=rng.randint(10, 90),
        pitch_range=rng.randint(10, 90),
        word_gap=rng.choice((0, 0, 0, 2, 6)),
        tract=rng.uniform(0.88, 1.15) if rng.random() < 0.5 else 1.0,
    )
    return speak_words(sentence(language, rng), voice).audio
