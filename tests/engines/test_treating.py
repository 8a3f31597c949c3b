"""Calls of tools for sound: what goes over the pipe comes back whole, and nonsense does not."""

from dataclasses import replace

import pytest

from engines import registry, wire
from engines.base import Task, Treated
from engines.fleet import Fleet, State
from engines.frames import Head, WireError
from protocol.errors import Code, VoiceError
from tests.engines.hosting import QUICK, hosting
from tests.engines.sound import tone

ENHANCE = next(spec for spec in registry.BUILT_IN if spec.name == "enhance")
ORDER = {"denoise": True, "clarity": True, "strength": 2, "reach": 0.0}
PATIENT = replace(QUICK, grace_s=60.0, missed_beats=300)


def test_what_a_tool_made_and_found_arrives_as_it_was_sent() -> None:
    treated = Treated(b"\1\0", {"delay_s": 0.5, "list": [1, 2], "text": "é"})
    assert wire.read_treated(*wire.pack_treated(treated)) == treated


@pytest.mark.parametrize(
    ("head", "buffers"),
    [
        ({"facts": {}}, (b"\1",)),
        ({"facts": {}}, ()),
        ({"facts": {}}, (b"", b"")),
        ({"facts": []}, (b"",)),
        ({}, (b"",)),
    ],
)
def test_what_no_tool_says_is_refused(head: Head, buffers: tuple[bytes, ...]) -> None:
    with pytest.raises(WireError):
        wire.read_treated(head, buffers)


async def test_a_tool_answers_in_its_process_and_says_what_is_wrong_with_a_call() -> None:
    async with hosting(ENHANCE, limits=PATIENT) as host:
        assert host.capabilities.task is Task.TREAT
        pcm = tone(440, 0.5, 16_000)
        assert len((await host.treat(pcm, 16_000, 1, ORDER)).pcm) == len(pcm)
        with pytest.raises(VoiceError) as caught:
            await host.treat(pcm, 16_000, 3, ORDER)
        assert caught.value.code is Code.BAD_REQUEST
        with pytest.raises(VoiceError) as caught:
            await host.treat(pcm, 16_000, 1, {})
        assert caught.value.code is Code.ENGINE_FAILED
        assert len((await host.treat(pcm, 16_000, 1, ORDER)).pcm) == len(pcm)


async def test_a_fleet_lends_each_tool_by_its_name_while_it_is_used() -> None:
    fleet = Fleet([ENHANCE], limits=PATIENT)
    await fleet.start()
    try:
        (offer,) = fleet.offers
        assert (offer.capabilities.engine, offer.state, offer.live) == ("enhance", State.ON_DEMAND, False)
        assert fleet.pids() == []
        async with fleet.sound_tool("enhance").borrow() as host:
            assert host.alive and fleet.offers[0].state is State.LOADED
        with pytest.raises(VoiceError) as caught:
            fleet.sound_tool("deecho")
        assert (caught.value.code, caught.value.facts["install"]) == (Code.NOT_INSTALLED, "pip install nara-wpe")
    finally:
        await fleet.aclose()
