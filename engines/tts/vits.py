"""VITS and MMS-TTS (transformers) as an engine: one small checkpoint a language, natural enough, quick on a CPU.

Checkpoints are local directories, one for each language; those of MMS-TTS say which. They are loaded when a language is
first asked for, and the least used gives its place up. Texts are spoken clause by clause, each in windows: sound starts
after a fraction of the first one, and closing the iterator stops at the next window.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from engines.base import Capabilities, Options, Task, Voice
from engines.tts.checkpoints import VITS, find, language_of, read_json
from engines.tts.clauses import MAX_TEXT, PAUSES_S, clauses
from engines.tts.letters import Alphabet, Romanize, Symbols
from engines.tts.loudness import faded, levelled, pcm_of
from engines.tts.words import WordPlacer
from protocol.chunker import Clause
from protocol.errors import Code, VoiceError
from protocol.requests import Speak, SpeechChunk, SpokenWord

if TYPE_CHECKING:
    from engines.tts.vits_model import Utterance, VitsVoices

_log = logging.getLogger(__name__)
_KEPT = 4  # checkpoints in memory at once
_SPEEDS = (0.25, 4.0)
_SYLLABLES = 12  # of the nonsense a voice's loudness is found by
_VOWELS = "aeiouyаеиоу"


def factory(options: Options) -> "Vits":
    """Build the engine. Options: ``directory`` (a checkpoint, or a directory of some), ``directories`` (by language),
    ``device`` ("cpu", "cuda"), ``threads``, ``keep`` (checkpoints in memory at once)."""
    directories = options.get("directories") or {}
    if not isinstance(directories, dict):
        raise VoiceError(Code.BAD_REQUEST, "directories must map languages to directories", field="directories")
    found = {str(language): Path(str(path)) for language, path in directories.items()}
    if options.get("directory"):
        for directory in find(Path(str(options["directory"])), VITS):
            found.setdefault(language_of(directory), directory)
    if not found:
        raise VoiceError(Code.NOT_INSTALLED, "there is no VITS checkpoint in the directory", field="directory")
    threads = options.get("threads")
    return Vits(
        found,
        device=str(options.get("device") or "cpu"),
        threads=threads if isinstance(threads, int) else 0,
        keep=max(1, int(str(options.get("keep") or _KEPT))),
    )


@dataclass(frozen=True, slots=True)
class _Language:
    """A checkpoint that may be loaded, and how its text is read."""

    code: str
    directory: Path
    rate: int
    speakers: int
    roman: bool  # reads Latin letters only

    @property
    def voices(self) -> list[str]:
        return [self.code] if self.speakers < 2 else [f"{self.code}/{number}" for number in range(self.speakers)]


@dataclass(frozen=True, slots=True)
class _Loaded:
    alphabet: Alphabet
    model: "VitsVoices"
    nonsense: tuple[int, ...]  # symbols to try a voice with


class Vits:
    """The engine (``engines.base.Synthesizer``). Voices are "<language>", or "<language>/<number>" where several."""

    def __init__(self, directories: dict[str, Path], *, device: str, threads: int, keep: int) -> None:
        import torch

        if device.startswith("cuda") and not torch.cuda.is_available():
            raise VoiceError(Code.NOT_INSTALLED, "there is no GPU that torch can use here", field="device")
        if threads:
            torch.set_num_threads(threads)
        self._device = device
        self._keep = keep
        self._languages = {code: _language(code, directory) for code, directory in directories.items()}
        self._loaded: dict[str, _Loaded] = {}  # in the order of their last use
        self._warm_up()

    def describe(self) -> Capabilities:
        """The languages there are checkpoints of; those that need uroman, where it is not installed, are left out."""
        able = self._able()
        voices = [
            Voice(voice, f"{language.directory.name}, {voice}", language.code)
            for language in able
            for voice in language.voices
        ]
        return Capabilities(
            engine="vits",
            task=Task.SYNTHESIZE,
            model=", ".join(language.directory.name for language in able)[:200],
            languages=tuple(language.code for language in able),
            word_timestamps=True,
            rate=able[0].rate,
            voices=tuple(voices),
            note=(
                "one voice a language; word times are of the model's own durations; "
                "a change of pitch is not followed, and signs the model never read are left out"
            ),
        )

    def close(self) -> None:
        """Nothing to give back: memory goes with the process."""

    def speak(self, request: Speak) -> Iterator[SpeechChunk]:
        """The sound of ``request``. Speeds from 0.25 to 4; the same text and voice give the same sound.

        VoiceError: NOT_FOUND for a voice, TEXT_TOO_LONG past ``MAX_TEXT``, NOT_INSTALLED where a language needs uroman,
        ENGINE_FAILED for a checkpoint that is not whole.
        """
        if len(request.text) > MAX_TEXT:
            raise VoiceError(Code.TEXT_TOO_LONG, f"one request holds at most {MAX_TEXT} characters", maximum=MAX_TEXT)
        code, _, number = request.voice.partition("/")
        language = self._languages.get(code)
        if language is None or request.voice not in language.voices:
            raise VoiceError(Code.NOT_FOUND, f"there is no VITS voice {request.voice!r}", field="voice")
        return self._clauses(request, self._load(code), int(number or 0))

    def _clauses(self, request: Speak, loaded: _Loaded, speaker: int) -> Iterator[SpeechChunk]:
        speed = min(_SPEEDS[1], max(_SPEEDS[0], request.speed))
        model, done, pause_s = loaded.model, 0, 0.0
        model.tune(loaded.nonsense, speaker)
        for clause in clauses(request.text):
            symbols = loaded.alphabet.read(clause.text)
            if not symbols.ids:
                continue
            if done and pause_s:
                silence = bytes(2 * round(pause_s / speed * model.rate))
                yield SpeechChunk(silence, model.rate)
                done += len(silence) // 2
            said = model.say(symbols.ids, speaker, speed, _seed(request.voice, symbols))
            words = _words(clause, symbols, said, done, model.rate) if request.words else []
            yield from _chunks(said, words, done, model.rate, model.gain(speaker))
            done += said.samples
            pause_s = PAUSES_S[clause.pause]

    def _warm_up(self) -> None:
        """Load a checkpoint, so that the first request finds the libraries in memory; broken ones are not offered."""
        for language in self._able():
            try:
                self._load(language.code)
            except VoiceError as error:
                if len(self._languages) == 1:
                    raise
                _log.warning("there is no speech in %s: %s", language.code, error.message)
                del self._languages[language.code]
            else:
                return

    def _able(self) -> list[_Language]:
        able = [language for language in self._languages.values() if not language.roman or _has_uroman()]
        if not able:
            _romanizer(next(iter(self._languages)))
        return able

    def _load(self, code: str) -> _Loaded:
        loaded = self._loaded.pop(code, None)
        if loaded is None:
            while len(self._loaded) >= self._keep:
                del self._loaded[next(iter(self._loaded))]
            loaded = self._read(self._languages[code])
        self._loaded[code] = loaded
        return loaded

    def _read(self, language: _Language) -> _Loaded:
        from engines.tts.vits_model import VitsVoices

        tokenizer = read_json(language.directory / "tokenizer_config.json")
        if tokenizer.get("phonemize"):
            what = f"{language.directory.name} reads phonemes; checkpoints must read letters, as MMS-TTS's do"
            raise VoiceError(Code.NOT_INSTALLED, what, field="directory")
        vocabulary = {
            symbol: number
            for symbol, number in read_json(language.directory / "vocab.json").items()
            if isinstance(number, int)
        }
        alphabet = Alphabet(
            vocabulary,
            language.code,
            blanks=bool(tokenizer.get("add_blank", True)),
            romanize=_romanizer(language.code) if language.roman else None,
        )
        if not alphabet.letters():
            raise VoiceError(Code.ENGINE_FAILED, f"{language.directory.name} has no vocabulary of letters")
        model = VitsVoices(language.directory, self._device)
        loaded = _Loaded(alphabet, model, alphabet.read(_nonsense(alphabet.letters())).ids)
        model.tune(loaded.nonsense, 0)
        return loaded


def _language(code: str, directory: Path) -> _Language:
    config, tokenizer = read_json(directory / "config.json"), read_json(directory / "tokenizer_config.json")
    rate, speakers = config.get("sampling_rate", 16_000), config.get("num_speakers", 1)
    if not isinstance(rate, int) or not isinstance(speakers, int):
        raise VoiceError(Code.ENGINE_FAILED, f"the checkpoint {directory.name} has no config.json that can be read")
    return _Language(code, directory, rate, speakers, bool(tokenizer.get("is_uroman")))


def _seed(voice: str, symbols: Symbols) -> int:
    return int.from_bytes(sha256(f"{voice} {symbols.ids}".encode()).digest()[:7])


def _words(clause: Clause, symbols: Symbols, said: "Utterance", done: int, rate: int) -> list[SpokenWord]:
    """Where each word of the clause begins, in the whole text and its sound."""
    placer = WordPlacer(clause.text)
    places: list[tuple[int, int, int]] = []
    for place, start in zip(symbols.places, said.starts, strict=True):
        if place >= 0:
            places += placer.place(place, start)
    places += placer.finish(said.samples)
    return [
        SpokenWord(clause.offset + offset, length, (done + min(sample, said.samples - 1)) / rate)
        for offset, length, sample in places
    ]


def _chunks(said: "Utterance", words: list[SpokenWord], done: int, rate: int, gain: float) -> Iterator[SpeechChunk]:
    """The sound of a clause in pieces, each with the words that begin in it."""
    given = 0
    for piece in said.sound:
        first, last = given == 0, given + len(piece) >= said.samples
        given += len(piece)
        count = sum(1 for word in words if last or word.start * rate < done + given)
        now, words = tuple(words[:count]), words[count:]
        yield SpeechChunk(pcm_of(faded(levelled(piece, gain), rate, first=first, last=last)), rate, now)


def _nonsense(letters: list[str]) -> str:
    """Words of every letter, a consonant and a vowel in turn where the letters are of that kind."""
    vowels = [letter for letter in letters if letter in _VOWELS] or letters
    others = [letter for letter in letters if letter not in vowels] or letters
    syllables = [others[number * 5 % len(others)] + vowels[number % len(vowels)] for number in range(_SYLLABLES)]
    return " ".join("".join(syllables[start : start + 2]) for start in range(0, _SYLLABLES, 2))


def _has_uroman() -> bool:
    return find_spec("uroman") is not None


def _romanizer(language: str) -> Romanize:
    if not _has_uroman():
        what = f"speech in {language} needs uroman"
        raise VoiceError(Code.NOT_INSTALLED, what, install="pip install uroman")
    tables = import_module("uroman").Uroman()
    return lambda text: str(tables.romanize_string(text)).lower()
