"""The espeak-ng C library through ctypes: one global state, one call at a time, PCM by callback.

The library and its data come in the espeakng-loader wheel. It is GPL-3 and is loaded in the engine's own process
only, which speaks to the rest of the program over a pipe. Constants follow espeak-ng's ``speak_lib.h`` (1.52).
"""

import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import espeakng_loader

_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: the callback runs inside espeak_Synth
_UTF8 = 1  # espeakCHARS_UTF8; without espeakSSML and espeakPHONEMES the text is only text
_BY_CHARACTER = 1  # espeak_POSITION_TYPE
_END_OF_EVENTS, _WORD = 0, 1  # espeak_EVENT_TYPE


class Parameter(IntEnum):
    """What can be set for the next synthesis; choosing a voice may change any of them."""

    RATE = 1  # words a minute, 80 to 450
    VOLUME = 2  # 100 is full scale, above it clips
    PITCH = 3  # 0 to 99, 50 is the voice's own
    RANGE = 4  # of the intonation, 0 is monotone


@dataclass(frozen=True, slots=True)
class Language:
    """A language as its files describe it."""

    tag: str  # BCP 47 in lower case, "vi-vn-x-south"; by the tag alone not every one can be chosen
    name: str  # in English
    identifier: str  # what ``choose`` takes: "aav/vi-VN-x-south"


class _EventId(ctypes.Union):
    _fields_ = (("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8))


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # code points, from 1
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


class _Voice(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),  # a priority byte, then the tag, for each; then a zero
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("xx1", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.POINTER(_Event))

WordEvent = tuple[int, int]  # a code-point offset into the text, and the sample at which it is spoken
OnSound = Callable[[bytes, list[WordEvent]], bool]  # a piece of PCM and the words that begin in it; False stops


class EspeakLibrary:
    """Loads and initialises the library. A process has one global state of it, whatever the number of instances."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(str(espeakng_loader.get_library_path()))
        self._library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(_Voice))
        self._library.espeak_Info.restype = ctypes.c_char_p
        self._data = Path(str(espeakng_loader.get_data_path()))
        self.rate = int(self._library.espeak_Initialize(_SYNCHRONOUS, 0, str(self._data).encode(), 0))
        if self.rate <= 0:
            raise RuntimeError(f"espeak-ng cannot read its data in {self._data}")

    def version(self) -> str:
        """The library's version, as in "1.52.0"."""
        return str((self._library.espeak_Info(None) or b"").decode())

    def languages(self) -> Iterator[Language]:
        """Each language it can speak; some files of the wheel describe one whose dictionary is not in it."""
        voices = self._library.espeak_ListVoices(None)
        index = 0
        while voices[index]:
            voice = voices[index].contents
            language = Language(voice.languages[1:].decode().lower(), voice.name.decode(), voice.identifier.decode())
            if self._has_dictionary(language):
                yield language
            index += 1

    def _has_dictionary(self, language: Language) -> bool:
        path = self._data / "lang" / language.identifier
        lines = (line.split() for line in path.read_text(encoding="utf-8", errors="replace").splitlines())
        named = next((line[1] for line in lines if line[:1] == ["dictionary"]), path.name.split("-")[0])
        return (self._data / f"{named}_dict").exists()

    def choose(self, voice: str) -> bool:
        """Speak with ``voice`` ("aav/vi+f3") from now on. False when there is no such language: the old one stays.

        An unknown variant (the part behind "+") is not noticed.
        """
        return int(self._library.espeak_SetVoiceByName(voice.encode())) == 0

    def set(self, parameter: Parameter, value: int) -> None:
        """Set a parameter for what is spoken next; the library clips it to its range."""
        self._library.espeak_SetParameter(int(parameter), value, 0)

    def speak(self, text: str, on_sound: OnSound) -> None:
        """Synthesise ``text``, calling ``on_sound`` in this thread with each 60 ms; returns at the end or when stopped.

        What ``on_sound`` raises comes out here. ``text`` must have no control characters: they are commands or ends.
        """
        raised: list[BaseException] = []

        def callback(samples: int | None, count: int, events: "ctypes._Pointer[_Event]") -> int:
            try:
                pcm = ctypes.string_at(samples, 2 * count) if samples and count > 0 else b""
                return 0 if on_sound(pcm, list(_words(events))) else 1
            except BaseException as error:  # noqa: BLE001  it cannot pass through C: raised again below
                raised.append(error)
                return 1

        pointer = _Callback(callback)
        self._library.espeak_SetSynthCallback(pointer)
        data = text.encode("utf-8", "replace") + b"\0"
        status = self._library.espeak_Synth(data, ctypes.c_size_t(len(data)), 0, _BY_CHARACTER, 0, _UTF8, None, None)
        if raised:
            raise raised[0]
        if status != 0:
            raise RuntimeError(f"espeak_Synth failed with {status}")


def _words(events: "ctypes._Pointer[_Event]") -> Iterator[WordEvent]:
    index = 0
    while events[index].type != _END_OF_EVENTS:
        if events[index].type == _WORD:
            yield events[index].text_position - 1, events[index].sample
        index += 1
