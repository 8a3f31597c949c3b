"""What the form of a route may hold, and how it is told that it holds more."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from protocol.errors import Code, VoiceError

_MIB = 1024 * 1024
_VIDEO = re.compile(  # A34, and what else cameras and editors write
    r".*\.(mp4|m4v|mov|mkv|webm|avi|flv|wmv|asf|mpe?g|vob|ts|mts|m2ts|3gp|3g2|ogv)", re.IGNORECASE | re.DOTALL
)


def is_video(filename: str) -> bool:
    """Whether a file is video by its extension (A34)."""
    return _VIDEO.fullmatch(filename) is not None


@dataclass(frozen=True, slots=True)
class FileCap:
    """How many bytes a file may have; ``video`` when its name says that it is one (A42)."""

    size: int
    video: int | None = None

    def of(self, filename: str) -> int:
        """The cap of a file of that name."""
        return self.video if self.video is not None and is_video(filename) else self.size


@dataclass(frozen=True, slots=True)
class FormLimits:
    """``files``: the fields that are files, each with its cap; ``fields`` others, ``text_bytes`` for all of them."""

    files: Mapping[str, FileCap] = field(default_factory=dict)
    fields: int = 32
    text_bytes: int = 256 * 1024

    @property
    def files_bytes(self) -> int:
        """The most that all files together may have."""
        return sum(max(cap.size, cap.video or 0) for cap in self.files.values())


def refused(message: str, name: str | None = None, **facts: object) -> VoiceError:
    """A form that is wrong; ``name`` is the field that makes it so."""
    return VoiceError(Code.BAD_REQUEST, message, **({} if name is None else {"field": name}), **facts)


def too_large(name: str, maximum: int) -> VoiceError:
    """A field, file or body over its cap."""
    shown = f"{maximum / _MIB:g} MiB" if maximum >= _MIB else f"{maximum / 1024:g} KiB"
    return VoiceError(Code.TOO_LARGE, f"{name} may have at most {shown}.", field=name, maximum=maximum)
