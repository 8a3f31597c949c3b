"""A script with speakers (A18): ``#Name`` on a line of its own, and below it what that one says, up to the next name.

Names are compared with their spaces made one and a colon at their end left out; a speaker who says nothing has no
turn. What is paid for is the words of the turns.
"""

from dataclasses import dataclass

from protocol.errors import Code, VoiceError

MAX_NAME = 100  # characters
_MARKS = "#＃"


@dataclass(frozen=True, slots=True)
class Turn:
    """What somebody says before another speaks."""

    speaker: str
    text: str


def parse_dialogue(script: str) -> tuple[Turn, ...]:
    """The turns of a script, in order. BAD_REQUEST naming ``text`` and the line for what is no script."""
    turns: list[Turn] = []
    speaker, words = "", [""]
    for number, line in enumerate(script.splitlines(), 1):
        said = line.strip()
        if said[:1] in _MARKS and said:
            turns += _turn(speaker, words)
            speaker, words = _name(said, number), []
        elif speaker:
            words.append(said)
        elif said:
            raise _wrong(f"text must begin with a speaker: line {number} comes before any line such as #Name")
    turns += _turn(speaker, words)
    if not turns:
        raise _wrong("text holds nothing to say: a line such as #Name must be followed by that speaker's words")
    return tuple(turns)


def _turn(speaker: str, words: list[str]) -> list[Turn]:
    text = "\n".join(words).strip()
    return [Turn(speaker, text)] if text else []


def _name(line: str, number: int) -> str:
    name = " ".join(line.lstrip(_MARKS).rstrip(":：").split())
    if not name:
        raise _wrong(f"line {number} of text has a # without a speaker's name")
    if len(name) > MAX_NAME:
        raise _wrong(f"the speaker's name in line {number} of text is longer than {MAX_NAME} characters")
    return name


def _wrong(message: str) -> VoiceError:
    return VoiceError(Code.BAD_REQUEST, message, field="text")
