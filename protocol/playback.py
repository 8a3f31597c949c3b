"""The way out of a speech session: sound, and what is to be told at its places, handed out at the pace of playback.

The client is taken to play from the first frame on, to pause when it has played all it was sent, and to fall silent
when it asks for that. Sound is handed out ``lead_s`` before its playback, as fast as it is made where ``lead_s`` is
infinite. The clock is the caller's, in seconds; places are seconds of the sound handed out so far.
"""

import heapq
from enum import IntEnum
from itertools import count
from typing import NamedTuple

from protocol.track import Track

_SOON = 1e-6  # seconds; places are sums of floats


class Kind(IntEnum):
    """What there is to hand out."""

    WORD = 0  # is spoken from here on
    TEXT = 1  # has been spoken
    MARK = 2
    DONE = 3
    SOUND = 4


class Piece(NamedTuple):
    """Something at its place; ``what`` is bytes for SOUND and the caller's own for the rest."""

    at: float
    order: int  # things at one place are told in the order in which they were placed
    kind: Kind
    what: object


class Playback:
    """One stream's sound and places, in order."""

    def __init__(self, *, bytes_per_second: int, frame_s: float, lead_s: float) -> None:
        self.lead_s = lead_s
        self._track = Track(bytes_per_second=bytes_per_second, frame_s=frame_s)
        self._frame_s = frame_s
        self._places: list[Piece] = []  # a heap
        self._order = count()
        self._base: float | None = None  # when second 0 of the sound is, or was, played
        self._latest = 0.0  # the last place of text or its end

    @property
    def sent(self) -> float:
        """Seconds of sound handed out."""
        return self._track.sent

    @property
    def made(self) -> float:
        """Seconds of sound so far."""
        return self._track.made

    @property
    def waiting(self) -> float:
        """Seconds of sound made and not handed out."""
        return self._track.waiting

    @property
    def idle(self) -> bool:
        """Everything was handed out."""
        return not self._places and not self._track.ready

    def playing(self, now: float) -> bool:
        """The client still plays, or is about to be sent, sound of before."""
        return self.waiting > 0 or (self._base is not None and now - self._base < self.sent)

    def add(self, data: bytes, seconds: float) -> None:
        """More sound; see ``Track.add``."""
        self._track.add(data, seconds)

    def settle(self) -> None:
        """The clause is complete: what is left of it need not wait for a full frame."""
        self._track.settled = True

    def place(self, at: float, kind: Kind, what: object) -> None:
        """Tell ``what`` when the sound has come to ``at``; a word with the frame it begins in."""
        if kind is Kind.WORD:
            at -= self._frame_s
        elif kind is not Kind.MARK:
            # Places are sums of floats, and the same one may come out a little earlier the second time: what was spoken
            # is to be told in its order all the same, and before it is done.
            at = self._latest = max(at, self._latest)
        heapq.heappush(self._places, Piece(at, next(self._order), kind, what))

    def take(self, now: float) -> Piece | None:
        """What is to be sent now, None for nothing (yet)."""
        track = self._track
        if not track.trailing and (place := self.reached()) is not None:
            return place
        if not track.ready:
            return None
        sent = track.sent
        if self._base is None or now - self._base > sent:
            self._base = now - sent  # it begins to play, or goes on after a pause
        elif sent - (now - self._base) > self.lead_s + _SOON:
            return None
        return Piece(sent, 0, Kind.SOUND, track.take())

    def reached(self) -> Piece | None:
        """The next of the places that the sound handed out has come to."""
        return heapq.heappop(self._places) if self._passed else None

    @property
    def _passed(self) -> bool:
        return bool(self._places) and self._places[0].at <= self._track.sent + _SOON

    def due(self, now: float) -> float | None:
        """When ``take`` has something; None when that takes more sound."""
        if self._passed and not self._track.trailing:
            return now
        if not self._track.ready:
            return None
        return now if self._base is None else max(now, self._base + self._track.sent - self.lead_s)

    def clear(self, now: float) -> None:
        """Drop all that was not handed out; what was handed out is not played any more either."""
        self._track.clear()
        self._places.clear()
        self._latest = self._track.sent
        self._base = now - self._track.sent
