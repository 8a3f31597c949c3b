"""The closed vocabulary of the nano checkpoint and the grammar its sentences come from.

Every sentence is lower case, without punctuation, words separated by one space. No word is ever followed by itself:
a decoder of two layers cannot count, and such pairs make it loop.
"""

import hashlib
import random
from collections.abc import Callable
from itertools import pairwise

TIMESTAMP_SECONDS = 0.02  # the step in which Whisper tells times
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
COLOURS = ("red", "green", "blue", "yellow", "white", "black")
OPENABLE = ("door", "window")
SWITCHABLE = ("light", "radio", "music", "camera", "alarm", "phone")
PLAYABLE = ("music", "radio", "timer", "alarm", "camera")
READABLE = ("message", "phone", "camera", "timer", "alarm", "window")
MOVABLE = ("table", "camera", "phone", "light", "water")
DIRECTIONS = ("up", "down", "left", "right", "back")
DAYS = ("now", "today", "tomorrow")
ARTICLES = ("the", "my")
GREETINGS = ("hello", "goodbye", "thanks", "yes", "no")

NUMBERS_VI = ("không", "một", "hai", "ba", "bốn", "năm", "sáu", "bảy", "tám", "chín", "mười")

#: Every English word the checkpoint knows.
ENGLISH: tuple[str, ...] = tuple(
    dict.fromkeys(
        (
            *(*NUMBERS, *COLOURS, *OPENABLE, *SWITCHABLE, *PLAYABLE, *READABLE, *MOVABLE, *DIRECTIONS, *DAYS),
            *(*ARTICLES, *GREETINGS, "please", "open", "close", "turn", "on", "off", "play", "stop", "pause", "start"),
            *("call", "doctor", "set", "send", "check", "find", "show", "help", "move", "next", "hundred", "minutes"),
            "kitchen",
        )
    )
)

#: Every Vietnamese word the checkpoint knows, with the English word its ``translate`` task writes for it.
VIETNAMESE: dict[str, str] = {
    **dict(zip(NUMBERS_VI, NUMBERS, strict=True)),
    "đỏ": "red", "xanh": "blue", "mở": "open", "đóng": "close", "cửa": "door", "đèn": "light", "dừng": "stop",
    "lên": "up", "xuống": "down", "gọi": "call", "nhạc": "music", "chào": "hello", "nước": "water", "bật": "on",
    "tắt": "off", "xin": "please",
}  # fmt: skip

#: Sentences of fewer words are all used in training: there are too few of them to hold any out.
HELD_OUT_WORDS = 3
_HELD_OUT_SHARE = 0.1


def words_of(language: str) -> tuple[str, ...]:
    """All words of a language, ``en`` or ``vi``."""
    return {"en": ENGLISH, "vi": tuple(VIETNAMESE)}[language]


def translate(sentence: str) -> str:
    """A Vietnamese sentence word for word in English."""
    return " ".join(VIETNAMESE[word] for word in sentence.split())


def is_held_out(sentence: str) -> bool:
    """Whether a sentence is kept away from training: one in ten, decided by its own hash and so the same everywhere."""
    if len(sentence.split()) < HELD_OUT_WORDS:
        return False
    return hashlib.sha256(sentence.encode()).digest()[0] < 256 * _HELD_OUT_SHARE


def digits(language: str, length: int, rng: random.Random) -> str:
    """A spoken number of ``length`` digits, as in a telephone number."""
    return _without_repeats(NUMBERS if language == "en" else NUMBERS_VI, length, rng)


def random_words(language: str, length: int, rng: random.Random) -> str:
    """Words in any order: they keep the decoder from guessing what it did not hear."""
    return _without_repeats(words_of(language), length, rng)


def command(language: str, rng: random.Random) -> str:
    """One sentence a person might say to a device."""
    while True:
        sentence = rng.choice(_COMMANDS[language])(rng)
        words = sentence.split()
        if all(first != second for first, second in pairwise(words)):
            return " ".join(words)


def training_sentence(language: str, rng: random.Random) -> str:
    """One sentence of the training distribution, never a held-out one."""
    while True:
        draw = rng.random()
        if draw < 0.45:
            sentence = command(language, rng)
        elif draw < 0.6:
            sentence = digits(language, rng.randint(2, 7), rng)
        else:
            sentence = random_words(language, rng.choices((1, 2, 3, 4, 5, 6), (3, 1, 2, 2, 2, 2))[0], rng)
        if not is_held_out(sentence):
            return sentence


def _without_repeats(words: tuple[str, ...], length: int, rng: random.Random) -> str:
    chosen: list[str] = []
    while len(chosen) < length:
        word = rng.choice(words)
        if not chosen or chosen[-1] != word:
            chosen.append(word)
    return " ".join(chosen)


def _maybe(rng: random.Random, *words: str) -> str:
    """One of the words, or nothing half of the time."""
    return rng.choice(words) if rng.random() < 0.5 else ""


def _thing(rng: random.Random, things: tuple[str, ...]) -> str:
    colour = rng.choice(COLOURS) if rng.random() < 0.3 else ""
    return f"{rng.choice(ARTICLES)} {colour} {rng.choice(things)}"


def _open(rng: random.Random) -> str:
    verb = rng.choice(("open", "close"))
    return f"{_maybe(rng, 'please')} {verb} {_thing(rng, (*OPENABLE, 'kitchen door'))} {_maybe(rng, *DAYS)}"


def _switch(rng: random.Random) -> str:
    thing, state = _thing(rng, SWITCHABLE), rng.choice(("on", "off"))
    order = f"turn {state} {thing}" if rng.random() < 0.4 else f"turn {thing} {state}"
    return f"{_maybe(rng, 'please')} {order} {_maybe(rng, 'now')}"


def _volume(rng: random.Random) -> str:
    return f"{_maybe(rng, 'please')} turn {rng.choice(('up', 'down'))} {_thing(rng, ('music', 'radio'))}"


def _call(rng: random.Random) -> str:
    if rng.random() < 0.4:
        return f"{_maybe(rng, 'please')} call {digits('en', rng.randint(3, 6), rng)}"
    return f"{_maybe(rng, 'please')} call {rng.choice(ARTICLES)} doctor {_maybe(rng, *DAYS)}"


def _play(rng: random.Random) -> str:
    return f"{_maybe(rng, 'please')} {rng.choice(('play', 'stop', 'pause', 'start'))} {_thing(rng, PLAYABLE)}"


def _timer(rng: random.Random) -> str:
    number = rng.choice(NUMBERS[1:]) + rng.choice(("", "", " hundred"))
    return f"set {rng.choice(ARTICLES)} {rng.choice(('timer', 'alarm'))} {number} minutes {_maybe(rng, *DAYS)}"


def _read(rng: random.Random) -> str:
    verb = rng.choice(("send", "check", "find", "show"))
    return f"{_maybe(rng, 'please')} {verb} {rng.choice(('', 'next'))} {_thing(rng, READABLE)} {_maybe(rng, *DAYS)}"


def _move(rng: random.Random) -> str:
    return f"{_maybe(rng, 'please')} move {_thing(rng, MOVABLE)} {rng.choice(DIRECTIONS)}"


def _greet(rng: random.Random) -> str:
    follow = rng.choice(("", "please", "doctor", "now", "please help", "help my doctor", "thanks", "goodbye"))
    return f"{rng.choice(GREETINGS)} {follow}"


def _greet_then(rng: random.Random) -> str:
    return f"{rng.choice(GREETINGS)} {rng.choice((_open, _switch, _call, _play, _read))(rng)}"


def _mot_lenh(rng: random.Random) -> str:
    colour = _maybe(rng, "đỏ", "xanh")
    return rng.choice(
        (
            f"{rng.choice(('mở', 'đóng'))} cửa {colour}",
            f"{rng.choice(('bật', 'tắt'))} đèn {colour}",
            f"{rng.choice(('bật', 'tắt', 'mở', 'dừng'))} nhạc {_maybe(rng, 'lên', 'xuống')}",
            f"{rng.choice(('mở', 'đóng'))} nước",
            f"gọi {digits('vi', rng.randint(3, 5), rng)}",
        )
    )


def _xin(rng: random.Random) -> str:
    return f"xin {rng.choice(('chào', 'chào ' + _mot_lenh(rng), _mot_lenh(rng)))}"


def _hai_lenh(rng: random.Random) -> str:
    return f"{_mot_lenh(rng)} {_mot_lenh(rng)}"


_COMMANDS: dict[str, tuple[Callable[[random.Random], str], ...]] = {
    "en": (_open, _switch, _volume, _call, _play, _timer, _read, _move, _greet, _greet_then),
    "vi": (_mot_lenh, _xin, _hai_lenh),
}
