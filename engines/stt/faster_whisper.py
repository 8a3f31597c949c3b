"""Whisper on CTranslate2: whole utterances in, text out, several sessions' utterances at a time.

``faster_whisper.WhisperModel`` pads every utterance to 30 s; this calls the same model with windows as short as the
utterance allows (``features.Window``), decodes utterances of one window length together, and looks at finals twice
when ``guards`` does not trust them. What an utterance yields does not depend on what it shared a batch with.
"""

import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import ctranslate2
import numpy as np
import numpy.typing as npt

from engines.base import Capabilities, Options, Task
from engines.models import missing
from engines.stt import guards
from engines.stt.features import FULL_FRAMES, HOP, RATE, Features, MelSpectrogram, Samples, Window, samples_of
from engines.stt.whisper_text import WhisperText, WordTimes
from protocol.errors import Code, VoiceError
from protocol.events import Word
from protocol.requests import Decode, Hypothesis

BATCH = 8  # more were not seen to gain
_LONGEST = 29 * RATE  # samples of one window; a longer utterance is cut where it is quietest
_LOOK_BACK = 8 * RATE
_BEAM = 5  # of a second look
_MOST_BEAMS = 10  # more cost a lot and change nothing
_DRAWS = 5  # of a text that is drawn by chance, the likeliest is kept
_TOKENS_A_SECOND = 10  # that a first look may take; a loop should not hold the others up
_TOKENS_ALWAYS = 24
_MAX_LENGTH = 448  # tokens of prompt and text, Whisper's limit

Encoded = npt.NDArray[np.float32]  # positions x width


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is run. ``factory`` reads it from an engine's options, by these names."""

    directory: str
    model: str = ""  # its name in answers; the directory's when empty
    device: str = "cpu"  # cpu, cuda or auto
    compute_type: str = "default"  # int8 on a CPU, int8_float16 on a GPU
    threads: int = 2
    trim: bool = True  # windows as short as the utterance; False for a model that does not bear it
    trim_finals: bool = True
    margin_s: float = 1.28
    beam: int = 1  # of a final's first look, unless it asks for another; partials are greedy
    second_look_s: float = 30.0  # window of a final that ``guards`` did not trust
    languages: tuple[str, ...] = ()  # those a model was trained for, when not all of its vocabulary
    note: str = ""


@dataclass(slots=True)
class _Piece:
    """A stretch of one request that fits a window, on its way through the model."""

    request: int
    decode: Decode
    samples: Samples
    features: Features
    start: float  # seconds into the request
    language: str  # "" until it is detected
    language_probability: float
    beam: int
    prompt: list[int] = field(default_factory=list)
    encoded: Encoded | None = None
    attempt: guards.Attempt | None = None
    words: tuple[Word, ...] = ()

    @property
    def frames(self) -> int:
        return int(self.features.shape[1])

    @property
    def seconds(self) -> float:
        """Whole milliseconds, so that no rounded time lies behind the end."""
        return len(self.samples) * 1000 // RATE / 1000


class FasterWhisper:
    """A recogniser of whole utterances."""

    def __init__(self, settings: Settings) -> None:
        absent = missing(Path(settings.directory))
        if absent:
            install = "voxline models pull small"
            raise VoiceError(Code.NOT_INSTALLED, f"{settings.directory} has no {', '.join(absent)}", install=install)
        self._settings = settings
        device = settings.device
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        compute = settings.compute_type
        if compute == "default":
            compute = "int8" if device == "cpu" else "int8_float16"
        try:
            self._model = ctranslate2.models.Whisper(
                settings.directory, device=device, compute_type=compute, intra_threads=settings.threads
            )
        except (RuntimeError, ValueError) as error:
            raise VoiceError(Code.ENGINE_FAILED, f"{settings.directory} does not load: {error}") from error
        self._on_gpu = device != "cpu"
        self._text = WhisperText(Path(settings.directory), self._model.is_multilingual, settings.languages)
        self._mel = MelSpectrogram(_mels(Path(settings.directory)))
        self._warm()

    def describe(self) -> Capabilities:
        return Capabilities(
            engine="faster-whisper",
            task=Task.RECOGNIZE,
            model=self._settings.model or Path(self._settings.directory).name,
            languages=self._text.languages,
            detects_language=len(self._text.languages) > 1,
            word_timestamps=True,
            batch=BATCH,
            rate=RATE,
            note=self._settings.note,
        )

    def close(self) -> None:
        self._model.unload_model()

    def recognize(self, batch: Sequence[Decode]) -> list[Hypothesis]:
        """``engines.base.Recognizer``: one hypothesis for each request, in order.

        A language the model does not know counts as "auto": who asks has read the capabilities.
        """
        pieces = [piece for index, decode in enumerate(batch) for piece in self._pieces(index, decode)]
        finals = [piece for piece in pieces if piece.decode.final]
        self._decode(pieces)
        self._look_again(finals)
        for piece in pieces:
            self._settle(piece)
        self._align([piece for piece in pieces if piece.decode.word_timestamps and piece.attempt])
        return [
            self._hypothesis(decode, [piece for piece in pieces if piece.request == index])
            for index, decode in enumerate(batch)
        ]

    # -- one request in, one out ---------------------------------------------------------------------

    def _pieces(self, index: int, decode: Decode) -> Iterable[_Piece]:
        settings = self._settings
        window = Window(settings.trim and (settings.trim_finals or not decode.final), settings.margin_s)
        language = self._text.known(decode.language)
        start = 0
        for samples in _cut(samples_of(decode.pcm)):
            if not guards.is_silent(samples):
                features = self._mel(samples, window.frames(len(samples)))
                if not guards.is_steady(features[:, : len(samples) // HOP]):
                    at, sure, beam = start / RATE, 1.0 if language else 0.0, self._beam(decode)
                    yield _Piece(index, decode, samples, features, at, language, sure, beam)
            start += len(samples)

    def _beam(self, decode: Decode) -> int:
        return min(decode.beam_size or (self._settings.beam if decode.final else 1), _MOST_BEAMS)

    def _settle(self, piece: _Piece) -> None:
        """Drop what nobody said and the turns of a loop beyond its first."""
        attempt = piece.attempt
        if attempt is None or guards.nobody_spoke(attempt):
            piece.attempt = None
            return
        if not attempt.ended or guards.compression_ratio(attempt.text) > guards.MOST_REPETITIVE:
            tokens = guards.cut_loop(attempt.tokens)
            piece.attempt = replace(attempt, tokens=tokens, text=self._text.decode(tokens))

    def _hypothesis(self, decode: Decode, pieces: list[_Piece]) -> Hypothesis:
        said = [(piece, piece.attempt) for piece in pieces if piece.attempt]
        language = pieces[0].language if pieces else self._text.known(decode.language)
        if not said:
            return Hypothesis("", language=language, no_speech_probability=1.0)
        length = sum(len(attempt.tokens) + 1 for _, attempt in said)
        return Hypothesis(
            text=self._text.join([attempt.text for _, attempt in said], language),
            words=tuple(word for piece, _ in said for word in piece.words),
            language=language,
            language_probability=pieces[0].language_probability,
            average_log_probability=sum(a.average_log_probability * (len(a.tokens) + 1) for _, a in said) / length,
            no_speech_probability=min(attempt.no_speech_probability for _, attempt in said),
        )

    def _look_again(self, pieces: list[_Piece]) -> None:
        """Decode finals that are not to be trusted once more, with more care, and keep the better text."""
        window = Window(True, self._settings.margin_s, floor_s=self._settings.second_look_s)
        again: list[tuple[_Piece, _Piece]] = []
        for piece in pieces:
            if piece.attempt and guards.doubtful(piece.attempt) and not guards.nobody_spoke(piece.attempt):
                features = self._mel(piece.samples, window.frames(len(piece.samples)))
                again.append((piece, replace(piece, features=features, attempt=None, beam=max(piece.beam, _BEAM))))
        self._decode([second for _, second in again], careful=True)
        for first, second in again:
            if first.attempt and second.attempt:
                kept = guards.better(first.attempt, second.attempt)
                if kept is second.attempt:
                    first.attempt, first.encoded, first.features = kept, second.encoded, second.features

    # -- the model -----------------------------------------------------------------------------------

    def _decode(self, pieces: list[_Piece], careful: bool = False) -> None:
        """Encode the pieces, find out their languages, and give each an attempt; alike ones together."""
        for alike in _grouped(pieces, lambda piece: piece.frames):
            self._encode(alike)
            self._detect_languages([piece for piece in alike if not piece.language])
            for piece in alike:
                piece.prompt = self._text.prompt(piece.decode, piece.language)
            for group in _grouped(alike, lambda piece: (len(piece.prompt), piece.beam, piece.decode.temperature)):
                self._generate(group, careful)

    def _encode(self, pieces: list[_Piece]) -> None:
        """One call each on a CPU, where a batch gains nothing; all at once on a GPU. The pieces have one window."""
        at_once = len(pieces) if self._on_gpu else 1
        for first in range(0, len(pieces), at_once):
            some = pieces[first : first + at_once]
            view = ctranslate2.StorageView.from_array(np.stack([piece.features for piece in some]))
            for piece, positions in zip(some, np.array(self._model.encode(view, to_cpu=True)), strict=True):
                piece.encoded = positions

    def _detect_languages(self, pieces: list[_Piece]) -> None:
        if not pieces:
            return
        if not self._model.is_multilingual or len(self._text.languages) == 1:
            for piece in pieces:
                piece.language, piece.language_probability = self._text.languages[0], 1.0
            return
        ranked = self._model.detect_language(_joined(pieces))
        for piece, languages in zip(pieces, ranked, strict=True):
            piece.language, piece.language_probability = self._text.likeliest(languages)

    def _generate(self, pieces: list[_Piece], careful: bool) -> None:
        """Decode pieces of one window length, prompt length and manner together; a second look leaves nothing to
        chance."""
        prompts = [piece.prompt for piece in pieces]
        seconds = pieces[0].frames * HOP / RATE
        budget = _MAX_LENGTH if careful else _TOKENS_ALWAYS + int(seconds * _TOKENS_A_SECOND)
        limit = min(len(prompts[0]) + budget, _MAX_LENGTH)
        temperature = 0.0 if careful else pieces[0].decode.temperature
        results = self._model.generate(
            _joined(pieces), prompts, max_length=limit, return_scores=True, return_no_speech_prob=True,
            suppress_tokens=self._text.suppressed, **_manner(pieces[0].beam, temperature),
        )  # fmt: skip
        for piece, prompt, result in zip(pieces, prompts, results, strict=True):
            tokens = tuple(result.sequences_ids[0])
            piece.attempt = guards.Attempt(
                tokens=tokens,
                text=self._text.decode(tokens),
                average_log_probability=result.scores[0] * len(tokens) / (len(tokens) + 1),
                no_speech_probability=result.no_speech_prob,
                ended=len(prompt) + len(tokens) < limit,
            )

    def _align(self, pieces: list[_Piece]) -> None:
        """Find out when each word was said."""
        for alike in _grouped(pieces, lambda piece: piece.frames):
            for language in dict.fromkeys(piece.language for piece in alike):
                self._align_group([piece for piece in alike if piece.language == language], language)

    def _align_group(self, pieces: list[_Piece], language: str) -> None:
        tokens = [self._text.words_only(piece.attempt.tokens if piece.attempt else ()) for piece in pieces]
        frames = [min(len(piece.samples) // HOP, FULL_FRAMES) for piece in pieces]
        results = self._model.align(_joined(pieces), self._text.start(language), tokens, frames)
        for piece, text, result in zip(pieces, tokens, results, strict=True):
            times = WordTimes(result.alignments, result.text_token_probs, piece.seconds, piece.start)
            piece.words = times.words(self._text.split(text, language))

    def _warm(self) -> None:
        """Run every path once: the first call of each is slow."""
        noise = np.random.default_rng(0).integers(-3000, 3000, RATE, np.int16).tobytes()
        self.recognize([Decode(noise, word_timestamps=True), Decode(noise, final=False)])


def factory(options: Options) -> FasterWhisper:
    """``Settings`` from an engine's options; VoiceError(BAD_REQUEST) names the one that is wrong."""
    known = {entry.name: entry for entry in fields(Settings)}
    values: dict[str, object] = {}
    for name, value in options.items():
        if name not in known:
            raise VoiceError(Code.BAD_REQUEST, f"faster-whisper has no option {name}", field=name)
        kind = known[name].type
        if name == "languages" and isinstance(value, list | tuple):
            values[name] = tuple(str(code) for code in value)
        elif kind is float and isinstance(value, int | float) and not isinstance(value, bool):
            values[name] = float(value)
        elif isinstance(kind, type) and type(value) is kind:
            values[name] = value
        else:
            raise VoiceError(Code.BAD_REQUEST, f"{name} is of the wrong type", field=name)
    if not values.get("directory"):
        install = "voxline models pull small"
        raise VoiceError(Code.NOT_INSTALLED, "faster-whisper needs a model's directory", install=install)
    return FasterWhisper(Settings(**values))  # type: ignore[arg-type]  # checked name by name above


def _manner(beam: int, temperature: float) -> dict[str, float]:
    """How CTranslate2 is to search: the best of a beam, or of some texts drawn by chance (``sampling_topk`` 0: from all
    words)."""
    if temperature > 0:
        return {"beam_size": 1, "num_hypotheses": _DRAWS, "sampling_topk": 0, "sampling_temperature": temperature}
    return {"beam_size": beam}


def _grouped(pieces: Sequence[_Piece], key: Callable[[_Piece], Hashable]) -> list[list[_Piece]]:
    """The pieces by key, in the order the keys first come."""
    groups: dict[Hashable, list[_Piece]] = {}
    for piece in pieces:
        groups.setdefault(key(piece), []).append(piece)
    return list(groups.values())


def _joined(pieces: list[_Piece]) -> ctranslate2.StorageView:
    """What the encoder made of the pieces, as one batch."""
    return ctranslate2.StorageView.from_array(np.stack([p.encoded for p in pieces if p.encoded is not None]))


def _cut(samples: Samples) -> Iterable[Samples]:
    """Stretches that fit a window, cut where it is quietest."""
    while len(samples) > _LONGEST:
        tail = samples[_LONGEST - _LOOK_BACK : _LONGEST].reshape(-1, RATE // 20)
        place = _LONGEST - _LOOK_BACK + int((tail**2).sum(axis=1).argmin() * RATE // 20 + RATE // 40)
        yield samples[:place]
        samples = samples[place:]
    yield samples


def _mels(directory: Path) -> int:
    """How many mel bands the model was trained on: 128 since large-v3, else 80."""
    config = directory / "preprocessor_config.json"
    try:
        return int(json.loads(config.read_text(encoding="utf-8"))["feature_size"]) if config.is_file() else 80
    except (ValueError, KeyError, TypeError) as error:
        raise VoiceError(Code.ENGINE_FAILED, f"{config} cannot be read") from error
