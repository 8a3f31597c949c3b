"""``python -m tests.diarization.score [--real DIRECTORY]`` prints the error rates of docs/transcription.md.

DIRECTORY holds recordings of people (16 kHz mono .wav) and who speaks in them (.rttm), as pyannote.audio's source at
PyPI does under tests/data and src/pyannote/audio/sample; without it only espeak-ng's voices are told apart.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.checkpoints.nano_whisper.speech import Audio
from tests.diarization.conversations import Conversation, alone, mixed, read, synthetic
from tests.diarization.der import Score, score
from tests.diarization.hearing import Ears

_MIXES = 4  # of each kind


def real(directory: Path) -> list[Conversation]:
    """The recordings of people that have turns."""
    found = []
    for sound in sorted(directory.rglob("*.wav")):
        for turns in sorted(directory.rglob("*.rttm")):
            talk = read(sound, turns)
            if talk.turns and not any(other.name == talk.name for other in found):
                found.append(talk)
    return found


def conversations(seconds: float, people: list[Conversation]) -> Iterator[tuple[str, list[Conversation]]]:
    """All that is scored, by kind."""
    for many in (2, 3, 4):
        yield f"{many} voices of espeak-ng", [synthetic(many, seconds, seed) for seed in range(_MIXES)]
    voices: dict[str, list[Audio]] = {}
    for talk in people:
        for name, pieces in alone(talk).items():
            voices.setdefault(name, []).extend(pieces)
    said = [pieces for _, pieces in sorted(voices.items()) if len(pieces) > 1]
    for many in (2, 3, 4):
        casts = [random.Random(seed).sample(said, many) for seed in range(_MIXES if len(said) >= many else 0)]
        if casts:
            yield f"{many} people, cut together", [mixed(cast, seconds, seed) for seed, cast in enumerate(casts)]
    for talk in people:
        if talk.speakers > 1:
            yield f"as recorded: {talk.name}", [talk]


async def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--real", type=Path)
    parser.add_argument("--seconds", type=float, default=90.0)
    asked = parser.parse_args()
    ears = Ears()
    print(f"{'':34} {'number found out':>17} {'number given':>13}  {'found':>5} {'s/s':>6}")
    with tempfile.TemporaryDirectory() as directory:
        for kind, talks in conversations(asked.seconds, real(asked.real) if asked.real else []):
            none = Score(0.0, 0.0, 0.0, 0.0)
            open_, given, right, took, length = none, none, 0, 0.0, 0.0
            for talk in talks:
                begun = time.process_time()
                turns = await ears.turns(talk, Path(directory))
                took, length = took + time.process_time() - begun, length + talk.seconds
                open_ += score(talk.turns, turns)
                right += len({turn.speaker for turn in turns}) == talk.speakers
                given += score(talk.turns, await ears.turns(talk, Path(directory), talk.speakers))
            found = f"{right}/{len(talks)}"
            print(f"{kind:34} {open_.rate:17.1%} {given.rate:13.1%}  {found:>5} {took / length:6.3f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
