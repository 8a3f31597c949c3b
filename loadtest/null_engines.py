"""Engines that do nothing, at once: what a server costs over them is the server itself."""

from collections.abc import Sequence

from engines.base import Capabilities, Options, Task
from protocol.requests import Decode, Hypothesis


class NullRecognizer:
    """Hears "speech" in whatever it is given."""

    def describe(self) -> Capabilities:
        """English, in large batches."""
        return Capabilities("null", Task.RECOGNIZE, languages=("en",), batch=64)

    def recognize(self, batch: Sequence[Decode]) -> Sequence[Hypothesis]:
        """One word each."""
        return [Hypothesis("speech" if decode.pcm else "", language="en") for decode in batch]

    def close(self) -> None:
        """Nothing to give back."""


class NullDetector:
    """Finds every window to be speech."""

    def describe(self) -> Capabilities:
        """A detector."""
        return Capabilities("null-vad", Task.DETECT, batch=256)

    def detect(self, windows: bytes, state: bytes) -> tuple[bytes, bytes]:
        """Probability 1 for each window; the state is not used."""
        return (b"\x00\x00\x80\x3f" * (len(windows) // (576 * 4)), state)

    def close(self) -> None:
        """Nothing to give back."""


def recognizer(options: Options) -> NullRecognizer:
    """The factory of the null recogniser."""
    return NullRecognizer()


def detector(options: Options) -> NullDetector:
    """The factory of the null detector."""
    return NullDetector()
