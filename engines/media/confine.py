"""What a process that reads strangers' files gives up before it does: memory, time, descriptors, files, the network.

Whatever the kernel refuses is left out (no Landlock before Linux 5.13, no namespaces in some containers): the formats
that would make libavformat open something are turned away by content as well (``engines.decode``).
"""

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass

_MIB = 1024 * 1024
_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_LANDLOCK_CREATE, _LANDLOCK_RESTRICT = 444, 446  # the same on every architecture
_LANDLOCK_VERSION = 1
_FILES_BY_VERSION = (0, 13, 14, 15, 15, 16)  # how many rights on files each version of Landlock knows
_TCP_SINCE, _TCP_RIGHTS = 4, 0b11  # to bind and to connect


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits the kernel keeps: bytes of address space, seconds of CPU, bytes of any file, descriptors."""

    memory: int = 1024 * _MIB
    cpu_s: int = 120
    file: int = 1024 * _MIB
    descriptors: int = 32


def shut_in() -> None:
    """From here on and for good, for this process and those it starts: no network, no file but those that are open."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if libc.unshare(_CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        _shut_files(libc)


def bind(bounds: Bounds) -> None:
    """Keep this process to ``bounds``, and end it with the one that started it."""
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_AS, bounds.memory)
    _limit(resource.RLIMIT_CPU, bounds.cpu_s, bounds.cpu_s + 1)  # SIGXCPU first, which says what it was
    _limit(resource.RLIMIT_FSIZE, bounds.file)
    _limit(resource.RLIMIT_NOFILE, bounds.descriptors)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write over the limit fails, which can be told
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit(kind: int, soft: int, most: int | None = None) -> None:
    _, hard = resource.getrlimit(kind)
    most = soft if most is None else most
    if hard != resource.RLIM_INFINITY:
        most = min(most, hard)
    resource.setrlimit(kind, (min(soft, most), most))


def _shut_files(libc: ctypes.CDLL) -> None:
    """A Landlock rule set without a rule: no path can be opened, made or removed, no TCP port used."""
    version = libc.syscall(_LANDLOCK_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(_LANDLOCK_VERSION))
    if version < 1:
        return
    files = (1 << _FILES_BY_VERSION[min(version, len(_FILES_BY_VERSION) - 1)]) - 1
    rights = (ctypes.c_uint64 * 2)(files, _TCP_RIGHTS)
    size = 16 if version >= _TCP_SINCE else 8
    rules = libc.syscall(_LANDLOCK_CREATE, ctypes.byref(rights), ctypes.c_size_t(size), ctypes.c_uint(0))
    if rules >= 0:
        libc.syscall(_LANDLOCK_RESTRICT, ctypes.c_int(rules), ctypes.c_uint(0))
        os.close(rules)
