"""Conversations with known turns: of espeak-ng's voices, and of people where recordings of some are at hand."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import PackageNotFoundError, distribution
from itertools import pairwise
from pathlib import Path

import numpy as np
import soundfile

from protocol.turns import Turn
from tests.checkpoints.nano_demucs.sentences import WORDS
from tests.checkpoints.nano_whisper.speech import Audio, Voice, speak_words, start_anew

RATE = 16_000
Speaks = Callable[[], Audio]
_TURN_S = (1.5, 5.0)
_GAP_S = (0.2, 0.9)
# As different as espeak-ng can do: a variant each, with a pitch and a vocal tract of its own.
PEOPLE = (
    Voice("en-us", rate=165, pitch=35, tract=0.95),
    Voice("en+f3", rate=175, pitch=60, tract=1.08),
    Voice("en-gb-scotland+m3", rate=155, pitch=20, tract=0.9),
    Voice("en-us+Annie", rate=185, pitch=75, tract=1.02),
    Voice("en-gb-x-rp+m7", rate=190, pitch=50, tract=1.0),
    Voice("en-us+f2", rate=150, pitch=45, tract=1.12),
    Voice("en-us+Michael", rate=170, pitch=30, tract=1.0),
    Voice("en+steph", rate=180, pitch=55, tract=0.97),
)


@dataclass(frozen=True, slots=True)
class Conversation:
    """16 kHz mono s16le, and who speaks when."""

    name: str
    pcm: bytes
    turns: tuple[Turn, ...]
    names: tuple[str, ...] = ()  # of the speakers

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.pcm) / (2 * RATE)

    @property
    def speakers(self) -> int:
        """How many speak."""
        return len({turn.speaker for turn in self.turns})


def synthetic(people: int, seconds: float, seed: int) -> Conversation:
    """Some of ``PEOPLE`` talk in turns of 1.5 to 5 s with pauses between them."""
    rng = random.Random(seed)
    cast = rng.sample(PEOPLE, people)
    voices = [partial(_said, who, rng) for who in cast]
    return _conversation(f"{people} voices of espeak-ng", voices, seconds, rng)


def mixed(pieces: Sequence[Sequence[Audio]], seconds: float, seed: int, voices: int = 0) -> Conversation:
    """People talk in turns, of each of whom there are pieces of speech, used in any order; and voices of ``PEOPLE``."""
    rng = random.Random(seed)
    cast: list[Speaks] = [partial(rng.choice, who) for who in pieces]
    cast += [partial(_said, who, rng) for who in rng.sample(PEOPLE, voices)]
    return _conversation(f"{len(pieces)} people and {voices} voices", cast, seconds, rng)


def recorded() -> Conversation | None:
    """Two people on the telephone, half a minute, where the package that has them is installed (``make test`` does)."""
    try:
        place = distribution("pyannote-audio").locate_file("pyannote/audio/sample")
    except PackageNotFoundError:
        return None
    return read(Path(str(place)) / "sample.wav", Path(str(place)) / "sample.rttm")


def read(sound: Path, turns: Path) -> Conversation:
    """A recording with its turns in RTTM's format, as far as the turns go."""
    names: dict[str, int] = {}
    found: list[Turn] = []
    for line in turns.read_text().splitlines():
        fields = line.split()
        if fields and fields[1].replace("ñ", "n") == sound.stem.replace("ñ", "n"):
            start, length = float(fields[3]), float(fields[4])
            found.append(Turn(start, start + length, names.setdefault(fields[7], len(names))))
    samples, rate = soundfile.read(sound, dtype="float32")
    assert rate == RATE and samples.ndim == 1
    return Conversation(sound.stem, _pcm(samples), tuple(found), tuple(names))


def alone(conversation: Conversation) -> dict[str, list[Audio]]:
    """By speaker: what they say alone, in pieces as long as a turn."""
    samples: Audio = np.frombuffer(conversation.pcm, "<i2").astype(np.float32) / np.float32(32768)
    edges = sorted({0.0, *(edge for turn in conversation.turns for edge in (turn.start, turn.end))})
    pieces: dict[str, list[Audio]] = {}
    for at, end in pairwise(edges):
        speaking = [turn for turn in conversation.turns if turn.start <= at and turn.end >= end]
        while len(speaking) == 1 and end - at >= _TURN_S[0]:
            length = min(end - at, _TURN_S[1])
            piece = samples[round(at * RATE) : round((at + length) * RATE)]
            pieces.setdefault(conversation.names[speaking[0].speaker], []).append(piece)
            at += length
    return pieces


def _conversation(name: str, cast: Sequence[Speaks], seconds: float, rng: random.Random) -> Conversation:
    start_anew()
    at, last = 0.5, -1
    parts: list[Audio] = [np.zeros(round(at * RATE), np.float32)]
    turns: list[Turn] = []
    while at < seconds or len({turn.speaker for turn in turns}) < len(cast):
        who = rng.choice([one for one in range(len(cast)) if one != last])
        sound, pause = cast[who](), round(rng.uniform(*_GAP_S) * RATE)
        turns.append(Turn(at, at + len(sound) / RATE, who))
        parts += [sound * np.float32(0.5 / max(float(np.abs(sound).max()), 1e-3)), np.zeros(pause, np.float32)]
        at, last = at + (len(sound) + pause) / RATE, who
    whole = np.concatenate(parts)
    whole = whole + np.random.default_rng(rng.randrange(1 << 30)).normal(0, 0.001, len(whole)).astype(np.float32)
    return Conversation(name, _pcm(whole), tuple(turns))


def _pcm(samples: Audio) -> bytes:
    return bytes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())


def _said(who: Voice, rng: random.Random) -> Audio:
    """A turn of words in any order."""
    wanted = rng.uniform(*_TURN_S)
    text, sound = "", np.zeros(0, np.float32)
    while len(sound) < wanted * RATE:
        text = f"{text} {' '.join(rng.sample(WORDS['en'], 3))}".strip()
        sound = speak_words(text, who).audio
    return sound
