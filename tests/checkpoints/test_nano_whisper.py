"""The committed nano checkpoint truly transcribes sentences it was never trained on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from faster_whisper import WhisperModel

from tests.checkpoints.nano_whisper.held_out import KNOWN_VOICES, held_out_sentences, speak
from tests.checkpoints.nano_whisper.score import UNSEEN_VOICES, Spoken, Transcribe, spoken, trimmed, whole
from tests.checkpoints.nano_whisper.speech import SAMPLE_RATE, Voice, speak_words
from tests.checkpoints.nano_whisper.vocabulary import TIMESTAMP_SECONDS, is_held_out, words_of
from tests.checkpoints.nano_whisper.word_errors import word_error_rate, word_errors

CHECKPOINT = Path(__file__).parent / "nano_whisper"


@pytest.fixture(scope="module")
def model() -> WhisperModel:
    """The CTranslate2 checkpoint on one thread."""
    return WhisperModel(str(CHECKPOINT / "model"), device="cpu", compute_type="int8", cpu_threads=1)


def error_rate(samples: Sequence[Spoken], language: str, transcribe: Transcribe) -> float:
    """Word error rate of a way to transcribe."""
    return word_error_rate([s.text for s in samples], [transcribe(s.audio, language) for s in samples])


@pytest.mark.parametrize(("language", "count", "bound"), [("en", 12, 0.03), ("vi", 8, 0.05)])
def test_offline_decoding_with_beams_and_timestamps(
    model: WhisperModel, language: str, count: int, bound: float
) -> None:
    samples = spoken(language, held_out_sentences(language, count), KNOWN_VOICES[language])
    assert error_rate(samples, language, whole(model, 5, timestamps=True)) <= bound


@pytest.mark.parametrize("silence", [False, True])
@pytest.mark.parametrize(("language", "count", "bound"), [("en", 40, 0.03), ("vi", 20, 0.05)])
def test_greedy_decoding_of_a_short_window(
    model: WhisperModel, language: str, count: int, bound: float, silence: bool
) -> None:
    """What live recognition does: a window of the utterance and a little padding, of either kind."""
    samples = spoken(language, held_out_sentences(language, count), KNOWN_VOICES[language])
    assert error_rate(samples, language, trimmed(model, 1.5, silence)) <= bound


@pytest.mark.parametrize(("language", "bound"), [("en", 0.10), ("vi", 0.15)])
def test_voices_never_heard_in_training(model: WhisperModel, language: str, bound: float) -> None:
    samples = spoken(language, held_out_sentences(language, 24, seed=1), UNSEEN_VOICES[language])
    assert error_rate(samples, language, trimmed(model, 1.5, silence=False)) <= bound


def test_an_utterance_still_being_said_gives_its_first_words(model: WhisperModel) -> None:
    """Partial results: the audio stops at the end of the third word, the rest was not heard."""
    texts, heard = [], []
    transcribe = trimmed(model, 1.5, silence=False)
    for text in held_out_sentences("en", 20, seed=2):
        words = text.split()
        utterance = speak_words(text, Voice("en-us", rate=165))
        end = int(utterance.spans[2][1] * SAMPLE_RATE)
        texts.append(" ".join(words[:3]))
        heard.append(transcribe(np.pad(utterance.audio[:end], (1600, 0)), "en"))
    assert word_error_rate(texts, heard) <= 0.10


def test_the_language_is_detected(model: WhisperModel) -> None:
    wrong = []
    for language in ("en", "vi"):
        for sample in spoken(language, held_out_sentences(language, 6), KNOWN_VOICES[language]):
            if model.detect_language(sample.audio)[0] != language:
                wrong.append(sample.text)
    assert len(wrong) <= 1, wrong


def test_timestamps_lie_around_the_speech(model: WhisperModel) -> None:
    """The first timestamp token and the end of the last segment are within 0.2 s of the speech, words in order.

    Not ``segment.start``: faster-whisper starts a window's only segment where the window starts, whatever the token.
    """
    zero = model.hf_tokenizer.token_to_id("<|0.00|>")
    for text in held_out_sentences("en", 4, seed=3):
        audio = speak(text, "en-us+f3")
        lead, length = 0.5, len(audio) / SAMPLE_RATE
        padded = np.pad(audio, (int(lead * SAMPLE_RATE), SAMPLE_RATE))
        found = list(model.transcribe(padded, "en", word_timestamps=True)[0])
        words = [word for segment in found for word in segment.words or []]
        assert word_errors(text, " ".join(word.word for word in words)) <= 1
        assert (found[0].tokens[0] - zero) * TIMESTAMP_SECONDS == pytest.approx(lead, abs=0.2)
        assert found[-1].end == pytest.approx(lead + length, abs=0.3)
        assert [word.start for word in words] == sorted(word.start for word in words)


def test_two_utterances_in_one_window_are_two_segments(model: WhisperModel) -> None:
    first, second = speak("please open the door", "en-us"), speak("call the doctor tomorrow", "en-us")
    audio = np.concatenate([np.zeros(4800), first, np.zeros(16000), second, np.zeros(8000)]).astype(np.float32)
    found = list(model.transcribe(audio, "en")[0])
    assert [segment.text.strip() for segment in found] == ["please open the door", "call the doctor tomorrow"]
    starts, ends = (
        (0.3, 1.3 + len(first) / SAMPLE_RATE),
        (0.3 + len(first) / SAMPLE_RATE, len(audio) / SAMPLE_RATE - 0.5),
    )
    assert [segment.start for segment in found] == pytest.approx(starts, abs=0.4)
    assert [segment.end for segment in found] == pytest.approx(ends, abs=0.4)


@pytest.mark.parametrize("kind", ["zero", "noise", "hum", "tone"])
def test_audio_without_speech_gives_no_text(model: WhisperModel, kind: str) -> None:
    time = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    audio = {
        "zero": np.zeros(len(time)),
        "noise": np.random.default_rng(0).standard_normal(len(time)) * 0.01,
        "hum": 0.1 * np.sin(2 * np.pi * 50 * time) + 0.05 * np.sin(2 * np.pi * 150 * time),
        "tone": 0.2 * np.sin(2 * np.pi * 770 * time) + 0.2 * np.sin(2 * np.pi * 1336 * time),
    }[kind].astype(np.float32)
    assert trimmed(model, 1.5, silence=False)(audio, "en").strip() == ""
    assert list(model.transcribe(audio, "en")[0]) == []


def test_vietnamese_is_translated_word_for_word(model: WhisperModel) -> None:
    audio = np.pad(speak("xin mở cửa đỏ", "vi"), (3200, 3200))
    segments, _ = model.transcribe(audio, "vi", task="translate")
    assert word_errors("please open door red", " ".join(segment.text for segment in segments)) <= 1


def test_held_out_sentences_are_deterministic_and_in_the_vocabulary() -> None:
    for language in ("en", "vi"):
        sentences = held_out_sentences(language, 30)
        assert sentences == held_out_sentences(language, 30)
        assert len(set(sentences)) == 30
        assert all(is_held_out(sentence) for sentence in sentences)
        assert {word for sentence in sentences for word in sentence.split()} <= set(words_of(language))


def test_the_checkpoint_is_small() -> None:
    sizes = {path.name: path.stat().st_size for path in CHECKPOINT.rglob("*") if path.is_file()}
    assert sizes["model.bin"] < 3_000_000
    assert sizes["model.safetensors"] < 7_000_000
