"""Score a checkpoint on sentences it was never trained on: ``python -m tests.checkpoints.nano_whisper.score``."""

import argparse
import random
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np
from faster_whisper import WhisperModel

from tests.checkpoints.nano_whisper.held_out import KNOWN_VOICES, held_out_sentences, speak
from tests.checkpoints.nano_whisper.speech import SAMPLE_RATE, Audio
from tests.checkpoints.nano_whisper.vocabulary import digits, is_held_out, random_words
from tests.checkpoints.nano_whisper.word_errors import word_error_rate

#: Voices and accents no training utterance was spoken with.
UNSEEN_VOICES: dict[str, tuple[str, ...]] = {
    "en": ("en-us+f4", "en-us+m4", "en+m6", "en-gb-scotland+m8", "en-us+Alicia", "en-us+Gene"),
    "vi": ("vi+f4", "vi+m4", "vi-vn-x-central", "vi+m6"),
}

Transcribe = Callable[[Audio, str], str]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A sentence with lead and tail silence around it."""

    text: str
    audio: Audio


def spoken(language: str, texts: Sequence[str], voices: Sequence[str], seed: int = 0) -> list[Spoken]:
    """The sentences said by the voices in turn, at rates and pitches that vary; 0.1 to 0.3 s of silence before and
    0.2 s after, as a voice activity detector leaves them."""
    rng = random.Random(f"spoken {language} {seed}")
    result = []
    for index, text in enumerate(texts):
        audio = speak(text, voices[index % len(voices)], rng.randint(130, 205), rng.randint(30, 75))
        around = (int(rng.uniform(0.1, 0.3) * SAMPLE_RATE), int(0.2 * SAMPLE_RATE))
        result.append(Spoken(text, np.pad(audio, around).astype(np.float32)))
    return result


def joined(samples: Sequence[Spoken], size: int) -> list[Spoken]:
    """Several utterances in one recording, 0.5 s apart."""
    groups = [samples[index : index + size] for index in range(0, len(samples) - size + 1, size)]
    gap = np.zeros(SAMPLE_RATE // 2, np.float32)
    return [
        Spoken(" ".join(s.text for s in group), np.concatenate([part for s in group for part in (s.audio, gap)]))
        for group in groups
    ]


def trimmed(model: WhisperModel, padding: float, silence: bool) -> Transcribe:
    """Greedy decoding of a short window, as live recognition does it: ``padding`` seconds follow the audio, either as
    silent samples or as features of zero."""

    def transcribe(audio: Audio, language: str) -> str:
        extra = int(padding * SAMPLE_RATE)
        sound = np.pad(audio, (0, extra)) if silence else audio
        features = model.feature_extractor(sound)
        if not silence:
            features = np.pad(features, ((0, 0), (0, extra // 160)))
        features = features[:, : features.shape[1] // 2 * 2]
        view = ctranslate2.StorageView.from_array(np.ascontiguousarray(features[None], dtype=np.float32))
        names = ("<|startoftranscript|>", f"<|{language}|>", "<|transcribe|>", "<|notimestamps|>")
        prompt = [model.hf_tokenizer.token_to_id(name) for name in names]
        result = model.model.generate(view, [prompt], beam_size=1, max_length=60)[0]
        return str(model.hf_tokenizer.decode(result.sequences_ids[0]))

    return transcribe


def whole(model: WhisperModel, beam_size: int, timestamps: bool) -> Transcribe:
    """faster-whisper's own transcribe on its 30 s window."""

    def transcribe(audio: Audio, language: str) -> str:
        segments, _ = model.transcribe(audio, language, beam_size=beam_size, without_timestamps=not timestamps)
        return " ".join(segment.text.strip() for segment in segments)

    return transcribe


def score_line(name: str, samples: Sequence[Spoken], language: str, transcribe: Transcribe) -> str:
    """One line of the report."""
    heard = [transcribe(sample.audio, language).strip() for sample in samples]
    exact = sum(text == sample.text for text, sample in zip(heard, samples, strict=True))
    rate = word_error_rate([sample.text for sample in samples], heard)
    wrong = [f"{s.text} -> {t}" for s, t in zip(samples, heard, strict=True) if s.text != t][:3]
    return f"{language}  {name:<46} WER {100 * rate:5.1f} %   exact {exact}/{len(heard)}   {'; '.join(wrong)}"


def _held_out(make: Callable[[str, int, random.Random], str], language: str, count: int, longest: int) -> list[str]:
    rng = random.Random(f"score {language}")
    sentences: list[str] = []
    while len(sentences) < count:
        sentence = make(language, rng.randint(3, longest), rng)
        if is_held_out(sentence):
            sentences.append(sentence)
    return sentences


def print_scores(directory: Path, count: int = 60) -> None:
    """Print the held-out scores of a checkpoint."""
    model = WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=1)
    live, live_silence = trimmed(model, 1.5, silence=False), trimmed(model, 2.5, silence=True)
    for language in ("en", "vi"):
        known = spoken(language, held_out_sentences(language, count), KNOWN_VOICES[language])
        unseen = spoken(language, held_out_sentences(language, count, seed=1), UNSEEN_VOICES[language])
        loose = _held_out(random_words, language, count, longest=6)
        numbers = _held_out(digits, language, count, longest=7)
        lines = (
            ("greedy, short window, zero features", known, live),
            ("greedy, short window, silence", known, live_silence),
            ("greedy, 30 s window", known[: count // 2], whole(model, 1, timestamps=False)),
            ("beam 5, timestamps, 30 s window", known[: count // 2], whole(model, 5, timestamps=True)),
            ("greedy, short window, unseen voices", unseen, live),
            ("beam 5, timestamps, 30 s window, unseen voices", unseen[: count // 2], whole(model, 5, timestamps=True)),
            ("greedy, short window, digits", spoken(language, numbers, KNOWN_VOICES[language]), live),
            ("greedy, short window, words in any order", spoken(language, loose, KNOWN_VOICES[language]), live),
        )
        for name, samples, transcribe in lines:
            sys.stdout.write(score_line(name, samples, language, transcribe) + "\n")
            sys.stdout.flush()
        dialogues = joined(known, 3)
        sys.stdout.write(
            score_line("beam 5, timestamps, 3 utterances", dialogues, language, whole(model, 5, True)) + "\n"
        )
    sys.stdout.write(_language_line(model, count // 2) + "\n")


def _language_line(model: WhisperModel, count: int) -> str:
    right = 0
    for language in ("en", "vi"):
        for sample in spoken(language, held_out_sentences(language, count), KNOWN_VOICES[language]):
            right += model.detect_language(sample.audio)[0] == language
    return f"language detected: {right}/{2 * count}"


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description="Score a nano Whisper checkpoint on held-out sentences.")
    parser.add_argument("--model", type=Path, default=Path(__file__).parent / "model")
    parser.add_argument("--count", type=int, default=60, help="sentences per language and line")
    options = parser.parse_args()
    print_scores(options.model, options.count)


if __name__ == "__main__":
    main()
