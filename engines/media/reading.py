"""One file, read in a process that does nothing else and ends with it."""

import errno
import os

from engines.decode import DecodeLimits, MediaFile, open_media, open_samples
from engines.media.confine import Bounds, bind
from engines.media.order import LOWEST_RATE, Answer, Order, pack_answer, read_order
from protocol.errors import Code, VoiceError

_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))


def read_in_child(order: bytes, source: int, target: int | None, answer: int) -> None:
    """The whole life of the process after its fork; never returns.

    ``source`` is the file, ``target`` where its samples go, ``answer`` a pipe for what is to be said of it.
    """
    status = 1
    try:
        _keep_only({source, answer} if target is None else {source, target, answer})
        os.setpgid(0, 0)
        asked = read_order(order)
        bind(Bounds(file=asked.room))
        os.write(answer, pack_answer(_read(asked, source, target)))
        status = 0
    finally:
        os._exit(status)  # without the template's exit handlers, and without a traceback


def _read(order: Order, source: int, target: int | None) -> Answer | VoiceError:
    try:
        with os.fdopen(source, "rb") as file:
            opened = open_media(file) if order.raw is None else open_samples(file, *order.raw)
            with opened as media:
                return _sound(media, order, target)
    except VoiceError as error:
        return error
    except OSError as error:
        if error.errno in _FULL:
            message = "The server has no room for files now; try again later."
            return VoiceError(Code.STORAGE_FULL, message, retry_after=60)
        return _unreadable()
    except Exception:  # noqa: BLE001 (whatever a file makes a library do, it is this file that cannot be read)
        return _unreadable()


def _sound(media: MediaFile, order: Order, target: int | None) -> Answer:
    """A file is video by its name (A34); one that is video all the same does not pass for sound."""
    video = order.video or media.has_video
    limits = DecodeLimits(seconds=order.video_s if video else order.audio_s, size=order.size)
    count = 0
    for piece in media.sound(limits, order.rate, order.channels, lowest=LOWEST_RATE if order.keep else None):
        count += len(piece)
        if target is not None:
            _write(target, piece)
    rate, channels = media.shape
    return Answer("video" if video else "audio", media.kind, count // (2 * channels), rate, channels)


def _write(target: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]


def _unreadable() -> VoiceError:
    return VoiceError(Code.UNSUPPORTED_MEDIA, "this file cannot be read: it is damaged, or not what it begins as")


def _keep_only(kept: set[int]) -> None:
    """Close every other descriptor, but for the first three; what libraries might say goes nowhere (see template)."""
    low = 3
    for descriptor in sorted(kept):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, max(1 << 16, low))
