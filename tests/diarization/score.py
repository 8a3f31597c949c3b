"""``python -m tests.diarization.score [--real DIRECTORY]`` prints the error rates of docs/transcription.md.

DIRECTORY holds more recordings of people (16 kHz mono .wav) and who speaks in them (.rttm), as the folder tests/data of
pyannote.audio's source at PyPI does.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from batch.pipelines.diarize import who_speaks
from tests.checkpoints.nano_whisper.speech import Audio
from tests.diarization.conversations import Conversation, alone, mixed, read, recorded, synthetic
from tests.diarization.der import Score, score
from tests.diarization.hearing import Ears

_SEEDS = range(10, 14)  # of the conversations of each kind; others were used to choose the thresholds


def real(directory: Path) -> list[Conversation]:
    """The recordings of people that have turns."""
    found: list[Conversation] = []
    for sound in sorted(directory.rglob("*.wav")):
        for turns in sorted(directory.rglob("*.rttm")):
            talk = read(sound, turns)
            if talk.speakers > 1 and not any(other.name == talk.name for other in found):
                found.append(talk)
    return found


def conversations(seconds: float, more: list[Conversation]) -> Iterator[tuple[str, list[Conversation]]]:
    """All that is scored, by kind."""
    for many in (2, 3, 4):
        yield f"{many} voices of espeak-ng", [synthetic(many, seconds, seed) for seed in _SEEDS]
    call = recorded()
    if call is not None:
        yield "a telephone call", [call]
        people = list(alone(call).values())
        yield "its 2 people with 2 voices", [mixed(people, seconds, seed, 2) for seed in _SEEDS]
    voices: dict[str, list[Audio]] = {}
    for talk in more:
        for name, pieces in alone(talk).items():
            voices.setdefault(name, []).extend(pieces)
    said = [pieces for _, pieces in sorted(voices.items()) if len(pieces) > 1]
    for many in (2, 3, 4):
        if len(said) >= many:
            casts = [random.Random(seed).sample(said, many) for seed in _SEEDS]
            yield f"{many} people, cut together", [mixed(cast, seconds, seed) for seed, cast in enumerate(casts)]
    for kind, talks in groupby(more, key=lambda talk: talk.name.rstrip("0123456789")):
        yield f"as recorded: {kind}", list(talks)


async def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--real", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    ears = Ears()
    print(f"{'':34} {'number found out':>17} {'number given':>13}  {'found':>5} {'s/s':>6}")
    with tempfile.TemporaryDirectory() as directory:
        for kind, talks in conversations(asked.seconds, real(asked.real) if asked.real else []):
            free = given = Score(0.0, 0.0, 0.0, 0.0)
            right, took, length = 0, 0.0, 0.0
            for talk in talks:
                begun = time.process_time()
                places, voices = await ears.listen(talk, Path(directory))
                turns = who_speaks(places, voices, 0)
                took, length = took + time.process_time() - begun, length + talk.seconds
                right += len({turn.speaker for turn in turns}) == talk.speakers
                free += score(talk.turns, turns)
                given += score(talk.turns, who_speaks(places, voices, talk.speakers))
            found = f"{right}/{len(talks)}"
            print(f"{kind:34} {free.rate:17.1%} {given.rate:13.1%}  {found:>5} {took / length:6.3f}", flush=True)


if __name__ == "__main__":
    asyncio.run(main())
