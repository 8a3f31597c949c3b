"""Whose request is it, where several documented APIs live on one server (CONTRACT X1-X7, and the escape hatch).

What decides, first to last: a prefix (``/c/...``), the name of the host, what tells requests apart where documents
share a path, and the path itself. A dialect is known here by its name, which is also its prefix.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Final

from protocol.fields import from_json

PEEK_BYTES = 64 * 1024  # what may be read of a body to decide


class Owner(StrEnum):
    """The dialects that share paths with others."""

    STT_AI = "c"
    TTS_AI = "d"
    VBEE_REALTIME = "e"
    ELEVENLABS = "elevenlabs"


class _Unread(Enum):
    UNREAD = auto()


UNREAD: Final = _Unread.UNREAD


@dataclass(frozen=True, slots=True)
class Asked:
    """What of a request tells whose it is; ``headers`` by names in lower case.

    ``body`` is the parsed JSON, None where it is none, UNREAD before anybody looked. A multipart body is never needed.
    """

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = UNREAD


@dataclass(frozen=True, slots=True)
class Claims:
    """What belongs to whom: all names of dialects, who answers on a host, and beginnings of paths (``claimed``).

    ``shared`` paths are the same on every host: files and what machines ask for.
    """

    names: frozenset[str]
    paths: Mapping[str, str]
    otherwise: str
    hosts: Mapping[str, str] = field(default_factory=dict)
    shared: tuple[str, ...] = ()


def choose(asked: Asked, claims: Claims) -> str | None:
    """The name of the dialect whose request it is; None when only the body can tell (``read_start``)."""
    owner = prefixed(asked.path, claims) or hosted(asked.path, asked.headers.get("host", ""), claims)
    if owner is not None:
        return owner
    rule = SHARED.get(asked.path)
    return rule(asked) if rule is not None else claimed(asked.path, claims)


def prefixed(path: str, claims: Claims) -> str | None:
    """Whose prefix the path has."""
    _, _, rest = path.partition("/")
    name, slash, _ = rest.partition("/")
    return name if slash and name in claims.names else None


def hosted(path: str, host: str, claims: Claims) -> str | None:
    """Who answers on the host, of a Host header, if it is one's alone."""
    if not claims.hosts or any(_covers(one, path) for one in claims.shared):
        return None
    return claims.hosts.get(host_name(host))


def claimed(path: str, claims: Claims) -> str:
    """Whose the path is by itself: its prefix's, or of the longest claim that covers it."""
    found = prefixed(path, claims)
    if found is not None:
        return found
    return max(
        ((len(claim), owner) for claim, owner in claims.paths.items() if _covers(claim, path)),
        default=(0, claims.otherwise),
    )[1]


def place(path: str, owner: str) -> str:
    """Where the owner's routes have the path: under the prefix, and spelled as its document has it (X2)."""
    rest = path.removeprefix(f"/{owner}") if path.startswith(f"/{owner}/") else path
    return f"/{owner}{_SPELLED.get((owner, rest), rest)}"


def host_name(header: str) -> str:
    """The name in a Host header: without port or final dot, in lower case."""
    name = header.strip().lower()
    return re.sub(r":\d*$", "", name).removesuffix(".")


def read_start(body: bytes, *, whole: bool) -> object:
    """The JSON in a body, or of one that is too long the members at its start; None where it is none."""
    try:
        if whole:
            return from_json(body)
        return _members(body.decode("utf-8", "ignore"))
    except (ValueError, RecursionError):
        return None


# -- inside ------------------------------------------------------------------------------------------

_REALTIME_KEYS = ("voiceCode", "mode", "outputFormat")
_SPELLED: Mapping[tuple[str, str], str] = {
    (Owner.STT_AI, "/v1/tts/"): "/v1/tts",
    (Owner.VBEE_REALTIME, "/v1/tts/"): "/v1/tts",
    (Owner.TTS_AI, "/v1/tts"): "/v1/tts/",
    (Owner.TTS_AI, "/v1/models"): "/v1/models/",
    (Owner.TTS_AI, "/v1/voices"): "/v1/voices/",
}
_GAP = re.compile(r"\s*")


def _speech(asked: Asked) -> str | None:
    """X1, X2: by the first rule that fits."""
    if asked.headers.get("content-type", "").split(";")[0].strip().lower() == "multipart/form-data":
        return Owner.STT_AI
    by_path = Owner.TTS_AI if asked.path.endswith("/") else Owner.VBEE_REALTIME
    called = "app-id" in asked.headers
    if asked.body is UNREAD:  # whatever it may be, some of it is E's already
        return by_path if called and by_path is Owner.VBEE_REALTIME else None
    if isinstance(asked.body, dict):
        if called or any(key in asked.body for key in _REALTIME_KEYS):
            return Owner.VBEE_REALTIME
        if "model" in asked.body and "voice" in asked.body:
            return Owner.TTS_AI
    return by_path


def _listing(otherwise: Owner) -> Callable[[Asked], str]:
    """X3, X4: ElevenLabs' clients send a header of their own."""
    return lambda asked: Owner.ELEVENLABS if "xi-api-key" in asked.headers else otherwise


SHARED: Mapping[str, Callable[[Asked], str | None]] = {
    "/v1/tts": _speech,
    "/v1/tts/": _speech,
    "/v1/models": _listing(Owner.STT_AI),
    "/v1/voices": _listing(Owner.TTS_AI),
}


def _covers(claim: str, path: str) -> bool:
    """Whether a path is claimed: it is the claim or below it; ``*`` stands for anything."""
    head, star, tail = claim.partition("*")
    if star:
        return path.startswith(head) and path.endswith(tail) and len(path) > len(head) + len(tail)
    return path == claim or path.startswith(claim if claim.endswith("/") else f"{claim}/")


def _members(text: str) -> dict[str, object] | None:
    """The members at the start of a JSON object that is cut off; the last may be a name without its value."""
    decoder, found = json.JSONDecoder(), dict[str, object]()
    at = _after_gap(text, 0)
    if text[at : at + 1] != "{":
        return None
    try:
        while text[at : at + 1] in ("{", ","):
            name, at = decoder.raw_decode(text, _after_gap(text, at + 1))
            at = _after_gap(text, at)
            if not isinstance(name, str) or text[at : at + 1] != ":":
                break
            found[name] = None
            found[name], at = decoder.raw_decode(text, _after_gap(text, at + 1))
            at = _after_gap(text, at)
    except ValueError:  # the end
        return found
    return found


def _after_gap(text: str, at: int) -> int:
    match = _GAP.match(text, at)
    return match.end() if match else at
