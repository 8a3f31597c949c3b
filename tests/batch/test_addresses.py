"""X1: which URLs a user may have called. Sixty of them, refused when they are registered or when they are resolved."""

import ipaddress
import random
import socket

import pytest

from batch.addresses import is_public, literal_address, permitted, read_url
from protocol.errors import Code, VoiceError

# Refused as soon as they are read.
ENCODED = [
    "http://127.0.0.1/", "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://127.1/", "http://0/",
    "http://017700000001/", "http://0177.0.0.1/", "http://0x7f.0x0.0x0.0x1/", "http://127.0.0.1.:80/",
    "http://①②⑦.⓪.⓪.①/", "http://127。0。0。1/", "https://[::1]/", "http://[0:0:0:0:0:0:0:1]:8080/",
]  # fmt: skip
EMBEDDED = [
    "http://[::ffff:127.0.0.1]/", "http://[::ffff:7f00:1]/", "http://[::ffff:10.0.0.1]/", "http://[64:ff9b::7f00:1]/",
    "http://[64:ff9b:1::a00:1]/", "http://[2002:7f00:1::]/", "http://[2002:a00:1::1]/", "http://[::127.0.0.1]/",
    "http://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
]  # fmt: skip
RANGES = [
    "http://0.0.0.0/", "http://10.1.2.3/", "http://100.64.0.1/", "http://100.100.100.200/latest/meta-data/",
    "http://169.254.169.254/latest/meta-data/", "http://172.16.0.1/", "http://172.31.255.255/", "http://192.0.0.8/",
    "http://192.0.0.192/", "http://192.168.1.1/", "http://198.18.0.1/", "http://203.0.113.7/", "http://224.0.0.251/",
    "http://239.255.255.250:1900/", "http://255.255.255.255/", "http://168.63.129.16/", "http://[fe80::1]/",
    "http://[fd00:ec2::254]/", "http://[ff02::1]/", "http://[2001:db8::1]/", "http://[::]/", "http://[fec0::1]/",
]  # fmt: skip
ZONES = ["http://[fe80::1%25eth0]/", "http://[fe80::1%eth0]/", "http://[2606:4700::1%25eth0]/"]
DRESSED_UP = [
    "http://user@example.com/", "http://user:pass@example.com/", "http://example.com@127.0.0.1/",
    "http://example.com:80@127.0.0.1/", "http://@127.0.0.1/", "http://example.com\\@127.0.0.1/",
    "http://example.com /", "http://example.com/\r\nHost: internal", "http://example.com\t.evil/", "http:///path",
    "http://exa_mple..com/", "http://-/",
]  # fmt: skip
PORTS = [
    "http://example.com:6379/", "http://example.com:25/", "http://example.com:22/", "http://example.com:5432/",
    "https://example.com:11211/", "http://example.com:2375/", "http://example.com:0/", "http://example.com:65536/",
    "http://example.com:http/",
]  # fmt: skip
SCHEMES = ["ftp://example.com/", "file:///etc/passwd", "gopher://example.com:70/", "//example.com/", "", "example.com",
           "javascript:alert(1)", "redis://example.com/"]  # fmt: skip
LOCAL_NAMES = ["http://localhost/", "http://LOCALHOST./", "http://a.localhost:8080/", "http://metadata.google.internal/",
               "http://printer.local/", "http://router.lan/"]  # fmt: skip


def refused_when_read(url: str) -> bool:
    try:
        read_url(url)
    except VoiceError as error:
        assert error.code is Code.BAD_REQUEST and error.facts["field"] == "callback_url"
        return True
    return False


@pytest.mark.parametrize(
    "url", ENCODED + EMBEDDED + RANGES + ZONES + DRESSED_UP + PORTS + SCHEMES + LOCAL_NAMES + ["http://a/" + "b" * 2048]
)
def test_a_url_that_leads_inside_is_refused_when_it_is_registered(url: str) -> None:
    if refused_when_read(url):
        return
    target = read_url(url)  # a spelling that only the resolver understands is refused when it has understood it
    resolved = [str(found[4][0]) for found in socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)]
    assert not permitted(resolved), url


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("https://example.com", "example.com", 443, "/"),
        ("http://Example.COM:8080/hook?x=1#fragment", "example.com", 8080, "/hook?x=1"),
        ("https://bücher.example/ä?q=ü", "xn--bcher-kva.example", 443, "/%C3%A4?q=%C3%BC"),
        ("https://8.8.8.8:8443/%2e%2e/a%20b", "8.8.8.8", 8443, "/%2e%2e/a%20b"),
        ("https://[2606:4700::1111]/", "2606:4700::1111", 443, "/"),
        ("https://hooks_in.example.co.uk/", "hooks_in.example.co.uk", 443, "/"),
    ],
)
def test_a_public_url_is_read_as_it_will_be_asked_for(url: str, host: str, port: int, path: str) -> None:
    target = read_url(url)
    assert (target.host, target.port, target.path) == (host, port, path)
    assert target.secure is url.startswith("https")


def test_the_host_header_names_the_port_only_when_it_is_not_the_usual_one() -> None:
    assert read_url("https://example.com:443/").authority == "example.com"
    assert read_url("http://example.com:443/").authority == "example.com:443"
    assert read_url("https://[2606:4700::1111]:8443/").authority == "[2606:4700::1111]:8443"


def test_private_addresses_are_for_those_who_allow_them() -> None:
    assert read_url("http://127.0.0.1:8080/", allow_private=True).host == "127.0.0.1"
    assert read_url("http://localhost:8080/", allow_private=True).host == "localhost"
    assert permitted(["10.0.0.1"], allow_private=True) == [ipaddress.ip_address("10.0.0.1")]
    with pytest.raises(VoiceError):
        read_url("http://127.0.0.1:6379/", allow_private=True)


def test_one_private_address_among_public_ones_spoils_the_name() -> None:
    assert permitted(["93.184.215.14", "10.0.0.1"]) == []
    assert permitted(["93.184.215.14", "2606:4700::1"]) != []
    assert permitted(["fe80::1%eth0"]) == []


def test_the_name_of_the_field_is_the_dialects() -> None:
    with pytest.raises(VoiceError) as caught:
        read_url("ftp://x", field="webhook_url")
    assert caught.value.message == "webhook_url must begin with http:// or https://."


def test_an_address_is_public_in_every_spelling_or_in_none() -> None:
    """The same four bytes, as dotted, hexadecimal, octal or a single number, and mapped or translated into IPv6."""
    chance = random.Random(1)
    for _ in range(2000):
        number = chance.getrandbits(32)
        plain = ipaddress.IPv4Address(number)
        octets = plain.packed
        spelt = [str(number), hex(number), oct(number).replace("o", ""), ".".join(map(hex, octets)),
                 f"{octets[0]}.{number & 0xFFFFFF}"]  # fmt: skip
        assert {literal_address(one) for one in spelt} == {plain}
        for network in ("::ffff:0:0", "64:ff9b::", "::"):
            assert not is_public(ipaddress.IPv6Address(int(ipaddress.IPv6Address(network)) + number))
        assert not is_public(ipaddress.IPv6Address((0x2002 << 112) + (number << 80)))
        if not plain.is_global:
            assert not is_public(plain)


def test_mutated_urls_are_read_or_refused_and_nothing_else() -> None:
    chance = random.Random(2)
    seeds = ENCODED + EMBEDDED + DRESSED_UP + ["https://example.com:8443/a?b=c"]
    for _ in range(10_000):
        letters = list(chance.choice(seeds))
        for _ in range(chance.randint(1, 4)):
            place = chance.randrange(len(letters) + 1)
            letters[place : place + chance.randint(0, 2)] = chance.choice("./:@[]%?#\\ \0é①a0x-")
        refused_when_read("".join(letters))
