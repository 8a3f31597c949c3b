"""The network with nobody in it: what it is for would prove nothing if it let anybody out, or did not notice."""

import socket

import pytest

from tests.alone import Alone


def test_nobody_gets_out_and_whoever_tries_is_seen() -> None:
    with Alone() as alone:
        if not alone.denied:
            pytest.skip("a network of its own is not allowed here")
        assert alone.attempts() == 0
        with alone.inside(), socket.socket() as own:
            own.bind(("127.0.0.1", 0))
            own.listen()
            with socket.create_connection(own.getsockname(), timeout=5):
                assert alone.attempts() == 0  # this machine itself is no way out
        with alone.inside(), socket.socket() as own, pytest.raises(OSError):
            own.connect(("192.0.2.1", 80))
        assert alone.attempts() == 1
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as outside:
            outside.connect(("127.0.0.1", 9))
        assert alone.attempts() == 1
