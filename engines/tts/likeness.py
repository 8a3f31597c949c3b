"""Speaking like somebody, as far as espeak-ng can: as high, as lively and as fast, with a voice of about that kind.

What it cannot have is the timbre: nobody will take it for the person. The prompt of a reference is what was heard in
it, as a small JSON object. The character is found by trial, since the library is hundreds of times faster than speech:
it reads a few numbers (words in every language), listens to itself with the same ear, and is put right twice.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, replace

from engines.tts.characters import CHARACTERS, Character
from engines.tts.hearing import Heard, hear
from engines.tts.prosody import pitch_setting
from protocol.errors import Code, VoiceError
from protocol.requests import Reference

VERSION = 1
TRIAL = "12345 6789 24680"
LONGEST_S = 30.0  # of a reference: more says no more
SHORTEST_S = 1.0

_ENGINE = "espeak-ng"
_WOMAN_FROM, _CHILD_FROM = 155.0, 280.0  # Hz: between the usual ranges of men, women and children
_RANGES = (15, 80)
_PACES = (0.75, 1.4)

Trial = Callable[[Character], Heard | None]  # a character reads ``TRIAL``: what that sounds like


def prompt_of(reference: Reference) -> bytes:
    """What was heard in a reference. VoiceError(BAD_REQUEST) naming ``ref_audio`` when that is nobody's speech."""
    if len(reference.pcm) < 2 * reference.rate * SHORTEST_S:
        raise _unfit(f"ref_audio must be at least {SHORTEST_S:g} s long")
    heard = hear(reference.pcm[: 2 * int(reference.rate * LONGEST_S)], reference.rate)
    if heard is None:
        raise _unfit("ref_audio holds no speech that can be heard")
    return json.dumps({"engine": _ENGINE, "version": VERSION, **asdict(heard)}).encode()


def heard_in(prompt: bytes) -> Heard:
    """The same again. VoiceError(BAD_REQUEST) naming ``prompt`` when it is another engine's, or another version's."""
    try:
        fields = json.loads(prompt)
        if (fields.pop("engine"), fields.pop("version")) == (_ENGINE, VERSION):
            heard = Heard(**{name: float(value) for name, value in fields.items()})
            if all(map(math.isfinite, (heard.pitch, heard.spread, heard.pace))) and heard.pitch > 0:
                return heard
    except (ValueError, TypeError, KeyError, AttributeError):
        pass  # whatever it is, it is none of ours
    raise VoiceError(Code.BAD_REQUEST, "the voice prompt was not made by this engine", field="prompt")


def alike(heard: Heard, trial: Trial) -> Character:
    """The character that speaks most like what was heard."""
    character = _of_that_kind(heard.pitch)
    first = trial(character)
    if first is None:
        return character
    low, high = _RANGES
    wider = character.range * heard.spread / first.spread
    pace = character.pace
    if heard.pace and first.pace:
        pace *= min(_PACES[1], max(_PACES[0], heard.pace / first.pace))
    character = replace(character, range=round(min(high, max(low, wider))), pace=pace)
    for _ in range(2):
        now = trial(character)
        if now is None:
            break
        semitones = 12 * math.log2(heard.pitch / now.pitch)
        character = replace(character, pitch=pitch_setting(character.pitch, semitones))
    return character


def _of_that_kind(pitch: float) -> Character:
    if pitch < _WOMAN_FROM:
        return CHARACTERS["male-1"]
    return CHARACTERS["girl" if pitch >= _CHILD_FROM else "female-1"]


def _unfit(message: str) -> VoiceError:
    return VoiceError(Code.BAD_REQUEST, message, field="ref_audio")
