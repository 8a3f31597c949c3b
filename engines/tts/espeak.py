"""espeak-ng as an engine: small, instant, 140 languages, a robot's voice; the default that needs no download.

The library calls back in its own loop, an engine yields; a thread that takes turns with the caller's joins the two.
Measured: 0.4 ms to the first 60 ms of sound, then several hundred times faster than real time; closing the iterator
stops it within one callback. The library has one global state, so there is one utterance at a time in a process.
"""

import math
from bisect import bisect_left
from collections.abc import Callable, Iterator
from functools import partial
from threading import Semaphore, Thread
from typing import TYPE_CHECKING
from unicodedata import category

from engines.base import Capabilities, Options, Task, Voice
from engines.tts.characters import CHARACTERS, Character
from engines.tts.design import accented, designed
from engines.tts.espeak_library import EspeakLibrary, Parameter, WordEvent
from engines.tts.prosody import pitch_setting, rate_setting
from engines.tts.stretch import Stretch
from engines.tts.words import WordPlacer
from protocol.errors import Code, VoiceError
from protocol.requests import Reference, Speak, SpeechChunk, SpokenWord

if TYPE_CHECKING:
    from engines.tts.hearing import Heard

MAX_TEXT = 5000  # code points in one request; a clause has a few dozen
_CHUNK_BYTES = 44_100  # the most one chunk holds, 1 s
_TURN_BYTES = 84_000  # the most handed over at a time, but for a callback's 3 kB: what a cancel may have to wait for
_GROWTH = 4  # of what is handed over, from one time to the next
_LIKENESSES = 256  # kept
_SPOKEN_SIGNS = "%&@#*/\\"  # punctuation to Unicode, words to the library; a text of other punctuation is not spoken


def factory(options: Options) -> "Espeak":
    """Build the engine; it takes no options."""
    return Espeak()


class Espeak:
    """The engine (``engines.base.Synthesizer``). Voices are "<espeak language>/<character>", as in "vi/female-1"."""

    def __init__(self) -> None:
        self._library = EspeakLibrary()
        self._languages = {language.tag: language for language in self._library.languages()}
        self._voice = ""
        self._likenesses: dict[tuple[bytes, str], Character] = {}
        self._library.choose("gmw/en-US")  # reads the English dictionary, so that the first request finds it in memory

    def describe(self) -> Capabilities:
        """Its languages, and for each the plain male and female voice; the other characters go with every language."""
        codes = dict.fromkeys(_iso(tag) for tag in self._languages)
        voices = (
            Voice(f"{tag}/{name}", f"{language.name}, {name}", _iso(tag), CHARACTERS[name].gender, CHARACTERS[name].age)
            for tag, language in self._languages.items()
            for name in ("female-1", "male-1")
        )
        return Capabilities(
            engine="espeak-ng",
            task=Task.SYNTHESIZE,
            model=f"espeak-ng {self._library.version()}",
            languages=tuple(codes),
            word_timestamps=True,
            rate=self._library.rate,
            voices=tuple(voices),
            cloning=True,
            designs=True,
            note=(
                "formant synthesis: intelligible, fast, and it sounds like a machine; "
                "a clone follows pitch, pace and gender, and does not sound like the person"
            ),
        )

    def close(self) -> None:
        """Nothing to give back: the library's memory goes with the process."""

    def clone(self, reference: Reference) -> bytes:
        """What ``Speak.prompt`` takes. The pitch, the pace and about the kind of voice are kept, the timbre is not."""
        from engines.tts.likeness import prompt_of  # numpy: half of what a start takes, and few ask for it

        return prompt_of(reference)

    def speak(self, request: Speak) -> Iterator[SpeechChunk]:
        """The sound of ``request``, at ``describe().rate``.

        Speeds from 0.1 to 4 are kept (past the library's own 0.5 to 2.3 by stretching), pitch from -6 to +8 semitones.
        With ``words``, sound is given out word by word, so that a chunk carries every word that begins in it.
        VoiceError: NOT_FOUND for a voice, TEXT_TOO_LONG past ``MAX_TEXT``.
        """
        if len(request.text) > MAX_TEXT:
            raise VoiceError(Code.TEXT_TOO_LONG, f"one request holds at most {MAX_TEXT} characters", maximum=MAX_TEXT)
        stretch = self._prepare(request)
        text = _plain(request.text)
        if not any(category(character)[0] in "LMNS" or character in _SPOKEN_SIGNS for character in text):
            return iter(())
        return self._chunks(text, stretch, request.words)

    def _prepare(self, request: Speak) -> float:
        """Set voice, rate, pitch and volume; returns the tempo that is left to do after the library."""
        tag, _, name = request.voice.partition("/")
        character = CHARACTERS.get(name)
        if tag not in self._languages or character is None:
            raise VoiceError(Code.NOT_FOUND, f"espeak-ng has no voice {request.voice!r}", field="voice")
        if request.design is not None:
            tag = accented(request.design, tag, self._languages)
            character = designed(request.design, character)
        elif request.prompt:
            character = self._like(request.prompt, tag)
        return self._set(tag, character, request.speed, request.pitch)

    def _set(self, tag: str, character: Character, speed: float = 1.0, semitones: float = 0.0) -> float:
        language = self._languages[tag]
        voice = f"{language.identifier}+{character.variant}" if character.variant else language.identifier
        if voice != self._voice and not self._library.choose(voice):
            self._voice = ""
            raise VoiceError(Code.NOT_FOUND, f"espeak-ng cannot load a voice of {tag!r}", field="voice")
        self._voice = voice
        rate, tempo = rate_setting(speed * character.pace)
        self._library.set(Parameter.RATE, rate)
        self._library.set(Parameter.PITCH, pitch_setting(character.pitch, semitones))
        self._library.set(Parameter.RANGE, character.range)
        self._library.set(Parameter.VOLUME, character.volume)
        return tempo

    def _like(self, prompt: bytes, tag: str) -> Character:
        """Who speaks like the reference of a prompt, in a language; found once."""
        from engines.tts.likeness import alike, heard_in

        key = (prompt, tag)
        if key not in self._likenesses:
            found = alike(heard_in(prompt), partial(self._trial, tag))
            while len(self._likenesses) >= _LIKENESSES:
                del self._likenesses[next(iter(self._likenesses))]
            self._likenesses[key] = found
        return self._likenesses[key]

    def _trial(self, tag: str, character: Character) -> "Heard | None":
        from engines.tts.hearing import hear
        from engines.tts.likeness import TRIAL

        sound = bytearray()

        def take(pcm: bytes, _: list[WordEvent]) -> bool:
            sound.extend(pcm)
            return True

        self._set(tag, character)
        self._library.speak(TRIAL, take)
        return hear(bytes(sound), self._library.rate)

    def _chunks(self, text: str, tempo: float, words: bool) -> Iterator[SpeechChunk]:
        rate = self._library.rate
        stretch = None if tempo == 1.0 else Stretch(rate, tempo)
        placer = WordPlacer(text) if words else None
        flow = _Flow()
        thread = Thread(target=flow.run, args=(partial(self._library.speak, text, flow.put),), name="espeak-ng")
        thread.start()
        held = _Held(rate, tempo)
        try:
            for pcm, events in flow:
                held.add(stretch.push(pcm) if stretch else pcm)
                if placer is None:
                    yield from held.take(held.end)
                    continue
                for offset, sample in events:
                    held.place(placer.place(offset, sample))
                yield from held.take(held.known)
            if stretch:
                held.add(stretch.flush())
            if placer:
                held.place(placer.finish(round(held.end * tempo)))
            yield from held.take(held.end, last=True)
        finally:
            flow.close()
            thread.join()


class _Held:
    """Sound not yet given out, and the words in it; counts samples of the whole utterance as it is given out."""

    def __init__(self, rate: int, tempo: float) -> None:
        self._rate = rate
        self._tempo = tempo
        self._pcm = bytearray()
        self._words: list[SpokenWord] = []
        self._begin = 0
        self.known = 0  # up to here every word is known

    @property
    def end(self) -> int:
        return self._begin + len(self._pcm) // 2

    def add(self, pcm: bytes) -> None:
        self._pcm += pcm

    def place(self, places: list[tuple[int, int, int]]) -> None:
        for offset, length, sample in places:
            self.known = round(sample / self._tempo)
            self._words.append(SpokenWord(offset, length, self.known / self._rate))

    def take(self, until: int, *, last: bool = False) -> Iterator[SpeechChunk]:
        """Chunks of what lies before sample ``until``, each with the words that begin in it; the last has the rest."""
        while self._pcm and self._begin < until:
            size = min(2 * (until - self._begin), len(self._pcm), _CHUNK_BYTES)
            pcm = bytes(self._pcm[:size])
            del self._pcm[:size]
            self._begin += size // 2
            limit = math.inf if last and not self._pcm else self._begin / self._rate
            count = bisect_left(self._words, limit, key=lambda word: word.start)
            words, self._words = tuple(self._words[:count]), self._words[count:]
            yield SpeechChunk(pcm, self._rate, words)


class _Flow:
    """From the library's callback to the iterator: two threads that take turns, so that neither waits for the GIL.

    The library's thread fills a piece, hands it over and sleeps until the iterator asks for the next. The first piece
    is one callback's, each later one four times as long, so that a sentence takes few turns.
    """

    def __init__(self) -> None:
        self._full = Semaphore(0)
        self._wanted = Semaphore(0)
        self._pcm = bytearray()
        self._events: list[WordEvent] = []
        self._size = 1
        self._closed = False
        self._ended = False
        self._error: Exception | None = None

    def run(self, work: Callable[[], None]) -> None:
        """In the library's thread: do the work, then say that it is over."""
        try:
            work()
        except Exception as error:  # noqa: BLE001  raised again in the iterator's thread
            self._error = error
        finally:
            self._ended = True
            self._full.release()

    def put(self, pcm: bytes, events: list[WordEvent]) -> bool:
        """In the library's thread: take a callback's sound; False means stop."""
        self._pcm += pcm
        self._events += events
        if len(self._pcm) >= self._size and not self._closed:
            self._full.release()
            self._wanted.acquire()
        return not self._closed

    def close(self) -> None:
        """Nobody takes any more."""
        self._closed = True
        self._wanted.release()

    def __iter__(self) -> Iterator[tuple[bytes, list[WordEvent]]]:
        """Each piece in turn. Raises what the library raised."""
        while True:
            self._full.acquire()
            pcm, events, self._events = bytes(self._pcm), self._events, []
            self._pcm.clear()
            if pcm or events:
                yield pcm, events
            if self._ended:
                break
            self._size = min(_GROWTH * max(self._size, len(pcm)), _TURN_BYTES)
            self._wanted.release()
        if self._error is not None:
            raise self._error


def _iso(tag: str) -> str:
    """The ISO 639 code of an espeak-ng tag; Mandarin is "zh" to everybody else."""
    code = tag.split("-")[0]
    return {"cmn": "zh", "nb": "no"}.get(code, code)


def _plain(text: str) -> str:
    """The same number of code points, with spaces for control characters: to the library they are commands."""
    return "".join(" " if category(character) == "Cc" else character for character in text)
