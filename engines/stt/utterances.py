"""What recognisers of whole utterances on any Whisper share, whichever library runs the model.

Requests are cut into pieces that fit a window, what cannot be speech is left out (``guards``), pieces that are alike
go through the model together, finals that ``guards`` does not trust are looked at again, and the text is put together
once more. What an utterance yields does not depend on what it shared a batch with.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import numpy as np

from engines.base import Capabilities, Options, Task
from engines.stt import guards
from engines.stt.features import FULL_FRAMES, HOP, RATE, Features, MelSpectrogram, Samples, Window, samples_of
from engines.stt.whisper_text import WhisperText, WordTimes
from protocol.errors import Code, VoiceError
from protocol.events import Word
from protocol.requests import Decode, Hypothesis

MAX_LENGTH = 448  # tokens of prompt and text, Whisper's limit
DRAWS = 5  # of a text that is drawn by chance, the likeliest is kept
_LONGEST = 29 * RATE  # samples of one window; a longer utterance is cut where it is quietest
_LOOK_BACK = 8 * RATE
_BEAM = 5  # of a second look
_MOST_BEAMS = 10  # more cost a lot and change nothing
_TOKENS_A_SECOND = 10  # that a first look may take; a loop should not hold the others up
_TOKENS_ALWAYS = 24

S = TypeVar("S", bound="UtteranceSettings")


@dataclass(frozen=True, slots=True)
class UtteranceSettings:
    """How a model is run, whatever runs it. An engine's options have these names (``read_settings``)."""

    directory: str
    model: str = ""  # its name in answers; the directory's when empty
    device: str = "cpu"  # cpu, cuda, cuda:1 (the second) or auto
    threads: int = 2
    trim: bool = True  # windows as short as the utterance; False for a model that does not bear it
    trim_finals: bool = True
    margin_s: float = 1.28
    beam: int = 1  # of a final's first look, unless it asks for another; partials are greedy
    second_look_s: float = 30.0  # window of a final that ``guards`` did not trust
    languages: tuple[str, ...] = ()  # those a model was trained for, when not all of its vocabulary
    note: str = ""


@dataclass(slots=True)
class Piece:
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
    encoded: Any = None  # positions x width, in the library's own kind of array
    attempt: guards.Attempt | None = None
    words: tuple[Word, ...] = ()

    @property
    def frames(self) -> int:
        """Of its window."""
        return int(self.features.shape[1])

    @property
    def sounding(self) -> int:
        """Frames of the window that are not padding."""
        return min(len(self.samples) // HOP, FULL_FRAMES)

    @property
    def seconds(self) -> float:
        """Whole milliseconds, so that no rounded time lies behind the end."""
        return len(self.samples) * 1000 // RATE / 1000

    def times(self, path: Sequence[tuple[int, int]], probabilities: Sequence[float]) -> WordTimes:
        """An alignment of its text, to be made into words."""
        return WordTimes(path, probabilities, self.seconds, self.start)


class UtteranceRecognizer(ABC):
    """``engines.base.Recognizer`` but for the calls of the model, which a subclass makes."""

    engine: ClassVar[str]
    batch: ClassVar[int] = 8  # more were not seen to gain
    #: Chances a final that a second look did not mend is given, one after the other.
    temperatures: ClassVar[tuple[float, ...]] = ()

    def __init__(self, settings: UtteranceSettings, text: WhisperText) -> None:
        self._settings = settings
        self._text = text
        self._mel = MelSpectrogram(_mels(Path(settings.directory)))

    def describe(self) -> Capabilities:
        """``engines.base.Engine``."""
        return Capabilities(
            engine=self.engine,
            task=Task.RECOGNIZE,
            model=self._settings.model or Path(self._settings.directory).name,
            languages=self._text.languages,
            detects_language=len(self._text.languages) > 1,
            word_timestamps=True,
            batch=self.batch,
            rate=RATE,
            note=self._settings.note,
        )

    def recognize(self, batch: Sequence[Decode]) -> list[Hypothesis]:
        """``engines.base.Recognizer``: one hypothesis for each request, in order.

        A language the model does not know counts as "auto": who asks has read the capabilities.
        """
        pieces = [piece for index, decode in enumerate(batch) for piece in self._pieces(index, decode)]
        finals = [piece for piece in pieces if piece.decode.final]
        self._decode(pieces)
        for temperature in (0.0, *self.temperatures):
            self._look_again(finals, temperature)
        for piece in pieces:
            self._settle(piece)
        self._align([piece for piece in pieces if piece.decode.word_timestamps and piece.attempt])
        return [
            self._hypothesis(decode, [piece for piece in pieces if piece.request == index])
            for index, decode in enumerate(batch)
        ]

    # -- one request in, one out ---------------------------------------------------------------------

    def _pieces(self, index: int, decode: Decode) -> Iterable[Piece]:
        settings = self._settings
        window = Window(settings.trim and (settings.trim_finals or not decode.final), settings.margin_s)
        language = self._text.known(decode.language)
        start = 0
        for samples in _cut(samples_of(decode.pcm)):
            if not guards.is_silent(samples):
                features = self._mel(samples, window.frames(len(samples)))
                if not guards.is_steady(features[:, : len(samples) // HOP]):
                    at, sure, beam = start / RATE, 1.0 if language else 0.0, self._beam(decode)
                    yield Piece(index, decode, samples, features, at, language, sure, beam)
            start += len(samples)

    def _beam(self, decode: Decode) -> int:
        return min(decode.beam_size or (self._settings.beam if decode.final else 1), _MOST_BEAMS)

    def _settle(self, piece: Piece) -> None:
        """Drop what nobody said and the turns of a loop beyond its first."""
        attempt = piece.attempt
        if attempt is None or guards.nobody_spoke(attempt):
            piece.attempt = None
            return
        if not attempt.ended or guards.compression_ratio(attempt.text) > guards.MOST_REPETITIVE:
            tokens = guards.cut_loop(attempt.tokens)
            piece.attempt = replace(attempt, tokens=tokens, text=self._text.decode(tokens))

    def _hypothesis(self, decode: Decode, pieces: list[Piece]) -> Hypothesis:
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

    def _look_again(self, pieces: list[Piece], temperature: float) -> None:
        """Decode finals that are not to be trusted once more, with more care, and keep the better text."""
        window = Window(True, self._settings.margin_s, floor_s=self._settings.second_look_s)
        again: list[tuple[Piece, Piece]] = []
        for piece in pieces:
            if piece.attempt and guards.doubtful(piece.attempt) and not guards.nobody_spoke(piece.attempt):
                features = self._mel(piece.samples, window.frames(len(piece.samples)))
                decode, beam = replace(piece.decode, temperature=temperature), max(piece.beam, _BEAM)
                again.append((piece, replace(piece, decode=decode, features=features, attempt=None, beam=beam)))
        self._decode([second for _, second in again], careful=True)
        for first, second in again:
            if first.attempt and second.attempt:
                kept = guards.better(first.attempt, second.attempt)
                if kept is second.attempt:
                    first.attempt, first.encoded, first.features = kept, second.encoded, second.features

    # -- the model -----------------------------------------------------------------------------------

    def _decode(self, pieces: list[Piece], careful: bool = False) -> None:
        """Encode the pieces, find out their languages, and give each an attempt; alike ones together."""
        for alike in _grouped(pieces, lambda piece: piece.frames):
            self._encode(alike)
            self._detect_languages([piece for piece in alike if not piece.language])
            for piece in alike:
                piece.prompt = self._text.prompt(piece.decode, piece.language)
            for group in _grouped(alike, lambda piece: (len(piece.prompt), piece.beam, piece.decode.temperature)):
                self._generate(group, careful)

    def _detect_languages(self, pieces: list[Piece]) -> None:
        if not pieces:
            return
        if len(self._text.languages) == 1:
            for piece in pieces:
                piece.language, piece.language_probability = self._text.languages[0], 1.0
            return
        for piece, languages in zip(pieces, self._rank_languages(pieces), strict=True):
            piece.language, piece.language_probability = self._text.likeliest(languages)

    def _limit(self, pieces: list[Piece], careful: bool) -> int:
        """Tokens of prompt and text that pieces of one window and prompt length may have."""
        seconds = pieces[0].frames * HOP / RATE
        budget = MAX_LENGTH if careful else _TOKENS_ALWAYS + int(seconds * _TOKENS_A_SECOND)
        return min(len(pieces[0].prompt) + budget, MAX_LENGTH)

    def _align(self, pieces: list[Piece]) -> None:
        """Find out when each word was said."""
        for alike in _grouped(pieces, lambda piece: piece.frames):
            for language in dict.fromkeys(piece.language for piece in alike):
                self._align_group([piece for piece in alike if piece.language == language], language)

    @abstractmethod
    def _encode(self, pieces: list[Piece]) -> None:
        """Set ``encoded`` of pieces of one window."""

    @abstractmethod
    def _rank_languages(self, pieces: list[Piece]) -> Sequence[Sequence[tuple[str, float]]]:
        """For each encoded piece its languages as ("<|en|>", probability), the likeliest first."""

    @abstractmethod
    def _generate(self, pieces: list[Piece], careful: bool) -> None:
        """Give pieces of one window, prompt length, beam and temperature an ``attempt``."""

    @abstractmethod
    def _align_group(self, pieces: list[Piece], language: str) -> None:
        """Set ``words`` of pieces of one window and language."""

    def _warm(self) -> None:
        """Run every path once: the first call of each is slow."""
        noise = np.random.default_rng(0).integers(-3000, 3000, RATE, np.int16).tobytes()
        self.recognize([Decode(noise, word_timestamps=True), Decode(noise, final=False)])


def read_settings(kind: type[S], engine: str, options: Options) -> S:
    """Settings from an engine's options; VoiceError(BAD_REQUEST) names the one that is wrong."""
    known = {entry.name: entry for entry in fields(kind)}
    values: dict[str, object] = {}
    for name, value in options.items():
        if name not in known:
            raise VoiceError(Code.BAD_REQUEST, f"{engine} has no option {name}", field=name)
        wanted = known[name].type
        if name == "languages" and isinstance(value, list | tuple):
            values[name] = tuple(str(code) for code in value)
        elif wanted is float and isinstance(value, int | float) and not isinstance(value, bool):
            values[name] = float(value)
        elif isinstance(wanted, type) and type(value) is wanted:
            values[name] = value
        else:
            raise VoiceError(Code.BAD_REQUEST, f"{name} is of the wrong type", field=name)
    return kind(**{"directory": "", **values})  # type: ignore[arg-type]  # checked name by name above


def _grouped(pieces: Sequence[Piece], key: Callable[[Piece], Hashable]) -> list[list[Piece]]:
    """The pieces by key, in the order the keys first come."""
    groups: dict[Hashable, list[Piece]] = {}
    for piece in pieces:
        groups.setdefault(key(piece), []).append(piece)
    return list(groups.values())


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
