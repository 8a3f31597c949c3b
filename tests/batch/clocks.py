"""A time that stands still until it is set."""


class Clock:
    """Ask it for the time; set ``time`` to move it."""

    def __init__(self, time: float = 1_700_000_000.0) -> None:
        self.time = time

    def __call__(self) -> float:
        return self.time
