"""Held-out sentences, streamed live at the pace of speech, come out as right as the engine makes them offline."""

import asyncio
from dataclasses import dataclass
from itertools import repeat

import pytest

from engines.stt import faster_whisper
from loadtest.recordings import CHECKPOINT, RATE, Recording, Utterance, record
from loadtest.subject import Subject
from protocol.requests import Decode
from tests.acceptance.listening import FRAME_20_MS, Heard, hear
from tests.checkpoints.nano_whisper.held_out import KNOWN_VOICES, held_out_sentences
from tests.checkpoints.nano_whisper.word_errors import word_error_rate

AT_ONCE = 4  # sentences a stream
SENTENCES = {"en": 32, "vi": 16}
PRECISE_S = 0.3


@dataclass(frozen=True, slots=True)
class Pair:
    """An utterance of a recording, and its final."""

    recording: Recording
    utterance: Utterance
    final: dict[str, object]


def playlist(language: str) -> list[Recording]:
    """The sentences of a language in several recordings, each by a voice of its own."""
    sentences, voices = held_out_sentences(language, SENTENCES[language], seed=5), KNOWN_VOICES[language]
    return [
        record(sentences[at : at + AT_ONCE], voice=voices[at // AT_ONCE % len(voices)], pause=0.8)
        for at in range(0, len(sentences), AT_ONCE)
    ]


async def streamed(live: Subject, language: str, recording: Recording) -> Heard:
    """The recording as a telephone sends it: 20 ms at a time, at the pace of speech."""
    answer = await hear(
        live.ws, live.key, [recording.pcm], config={"language": language}, pace=2 * RATE, frames=repeat(FRAME_20_MS)
    )
    return answer.check()  # what was stable stayed, and the finals are in order


def pairs(recording: Recording, heard: Heard) -> list[Pair]:
    """Each utterance with the finals that lie in it; more or fewer than one count as errors of their words."""
    found: list[Pair] = []
    for utterance in recording.utterances:
        middle = [one for one in heard.finals if utterance.start < (one["start"] + one["end"]) / 2 < utterance.end]
        text = " ".join(one["text"] for one in middle)
        span = {"start": middle[0]["start"], "end": middle[-1]["end"]} if middle else {}
        found.append(Pair(recording, utterance, {"text": text, **span}))
    assert sum(len(str(pair.final["text"]).split()) for pair in found) == len(heard.text.split()), "text in a pause"
    return found


def offline(language: str, found: list[Pair]) -> list[str]:
    """What the same engine makes of each whole utterance at once, in this process."""
    engine = faster_whisper.factory({"directory": str(CHECKPOINT), "compute_type": "int8", "threads": 1})
    try:
        decodes = [Decode(cut(pair.recording, pair.utterance), language=language) for pair in found]
        return [engine.recognize([decode])[0].text for decode in decodes]
    finally:
        engine.close()


def cut(recording: Recording, utterance: Utterance, margin: float = 0.2) -> bytes:
    """The utterance's own sound."""
    first, last = round((utterance.start - margin) * RATE), round((utterance.end + margin) * RATE)
    return recording.pcm[2 * first : 2 * last]


async def test_live_is_right_and_as_good_as_offline(live: Subject) -> None:
    """Done when 3: at most 5 % of the words wrong in each language, at most 2 points more than offline."""
    plays = [(language, recording) for language in SENTENCES for recording in playlist(language)]
    answers = await asyncio.gather(*(streamed(live, *play) for play in plays))
    for language in SENTENCES:
        found = [
            pair
            for (spoken_in, recording), heard in zip(plays, answers, strict=True) if spoken_in == language
            for pair in pairs(recording, heard)
        ]  # fmt: skip
        assert len(found) == SENTENCES[language]
        wanted = [pair.utterance.text for pair in found]
        said = [str(pair.final["text"]) for pair in found]
        live_rate, offline_rate = word_error_rate(wanted, said), word_error_rate(wanted, offline(language, found))
        wrong = [(want, got) for want, got in zip(wanted, said, strict=True) if want != got]
        assert live_rate <= 0.05, f"{language}: {live_rate:.1%} of the words wrong: {wrong}"
        assert live_rate <= offline_rate + 0.02, f"{language}: {live_rate:.1%}, offline {offline_rate:.1%}: {wrong}"
        for pair in found:
            assert pair.final["start"] == pytest.approx(pair.utterance.start, abs=PRECISE_S), pair.utterance
            assert pair.final["end"] == pytest.approx(pair.utterance.end, abs=PRECISE_S), pair.utterance
    partials = [partial for heard in answers for partial in heard.partials]
    assert len(partials) > len(answers) * AT_ONCE, "at the pace of speech there are partials"
    assert sum(partial["stable"] > 0 for partial in partials) > AT_ONCE, "none of it was ever stable"
