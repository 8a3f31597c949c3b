"""Which addresses the server may call on a user's behalf (RELIABILITY P8): public ones, on ports where the web lives.

A name says nothing, since it may mean another machine the next time it is asked; so a URL is only read here, and what
its name resolves to is judged when a connection is to be made, by the address that is then connected to.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote, urlsplit

from protocol.errors import Code, VoiceError

Address = IPv4Address | IPv6Address

_LONGEST_URL = 2048
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Under 1024 only the web's two. Above it not where databases, caches, brokers and their like listen, nor the ports
# that browsers refuse, where a request could be read as another protocol (fetch.spec.whatwg.org, "bad port").
_LOWEST_FREE_PORT = 1024
_WITHHELD_PORTS = frozenset(
    {1433, 1521, 1719, 1720, 1723, 2049, 2181, 2375, 2376, 2379, 2380, 3306, 3389, 3659, 4045, 4190, 4369, 5060, 5061}
    | {5432, 5672, 5900, 5984, 6000, 6379, 6380, 6443, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 8086, 9042}
    | {9092, 9100, 9200, 9300, 10080, 10250, 11211, 15672, 26379, 27017}
)
# What is no public address. ``ipaddress.is_global`` alone is not enough: it passes multicast, 6to4 and NAT64.
_NOT_PUBLIC_V4 = tuple(
    map(
        ipaddress.IPv4Network,
        (
            "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
            "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
            "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
            "168.63.129.16/32",  # the host of an Azure machine, at a public address
        ),
    )
)  # fmt: skip
_PUBLIC_V6 = ipaddress.IPv6Network("2000::/3")  # all that is given out; mapped, NAT64, local and multicast lie outside
_NOT_PUBLIC_V6 = tuple(
    map(
        ipaddress.IPv6Network,
        ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"),
    )
)
_LOCAL_NAMES = re.compile(r"(^|\.)(localhost|local|internal|intranet|lan|home\.arpa|localdomain)$")
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x20\x7f\\]")


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that has been read: where to go, and what to ask for there."""

    secure: bool
    host: str  # ASCII, lower case; an IPv6 address without its brackets
    port: int
    path: str  # with the query

    @property
    def authority(self) -> str:
        """The ``Host`` header."""
        shown = f"[{self.host}]" if ":" in self.host else self.host
        return shown if self.port == _DEFAULT_PORTS["https" if self.secure else "http"] else f"{shown}:{self.port}"


def read_url(url: str, *, field: str = "callback_url", allow_private: bool = False) -> Target:
    """What a user gave as the address to call. Raises BAD_REQUEST for what can be seen to be wrong with it already."""

    def refuse(why: str) -> VoiceError:
        return VoiceError(Code.BAD_REQUEST, f"{field} {why}.", field=field, allowed="an http or https URL")

    if len(url) > _LONGEST_URL:
        raise refuse(f"must have at most {_LONGEST_URL} characters")
    if _CONTROL.search(url):
        raise refuse("must not contain spaces, control characters or backslashes")
    try:
        parts = urlsplit(url)
        port, user = parts.port, parts.username
        host = _ascii(parts.hostname or "")
    except ValueError:
        raise refuse("is not a URL") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise refuse("must begin with http:// or https://")
    if user is not None or parts.password is not None or "@" in parts.netloc:
        raise refuse("must not contain a user name or password")
    literal = literal_address(host)
    if literal is None and not _NAME.fullmatch(host):
        raise refuse("names no host")
    port = _DEFAULT_PORTS[parts.scheme] if port is None else port
    if not is_web_port(port):
        raise refuse(f"must not use port {port}")
    local = is_public(literal) is False if literal is not None else _LOCAL_NAMES.search(host.rstrip(".")) is not None
    if local and not allow_private:
        raise refuse("must be a public address")
    asked = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme == "https", host, port, quote(asked, safe="%/?:@!$&'()*+,;=~-._[]|"))


def literal_address(host: str) -> Address | None:
    """The address, if the host is one in any spelling a resolver takes: dotted, hexadecimal, octal, a single number."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host)) if re.fullmatch(r"[0-9a-fx.]+", host) else None
    except OSError:
        return None


def is_public(address: Address) -> bool:
    """Whether everybody on the Internet could call it: then calling it for a user gives nothing away."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _NOT_PUBLIC_V4)
    if address.scope_id is not None or address not in _PUBLIC_V6:
        return False
    return address.is_global and not any(address in network for network in _NOT_PUBLIC_V6)


def is_web_port(port: int) -> bool:
    """Whether a receiver of ours may listen there."""
    return port in _DEFAULT_PORTS.values() or (port >= _LOWEST_FREE_PORT and port not in _WITHHELD_PORTS)


def permitted(resolved: Iterable[str], *, allow_private: bool = False) -> list[Address]:
    """The addresses to connect to, of all that a name resolved to; none of them when one is not public."""
    addresses = [ipaddress.ip_address(one) for one in resolved]
    return addresses if allow_private or all(map(is_public, addresses)) else []


def _ascii(host: str) -> str:
    """A host as it goes on the wire; raises ValueError (UnicodeError is one) for what cannot be."""
    return host.encode("idna").decode().lower() if not host.isascii() else host.lower()
