"""The drain of all sessions of a kind, with sessions that do not behave."""

from prometheus_client import CollectorRegistry

from protocol.dialects import stt_ai
from protocol.errors import Code, VoiceError
from stream.meter import Meter
from stream.service import Service


class Stubborn:
    """A session that breaks in the drain, or never ends of itself."""

    def __init__(self, service: "Service[Stubborn]", *, breaks: bool) -> None:
        self.told: list[Code | str] = []
        self._service = service
        self._breaks = breaks
        service._streams.add(self)

    async def run(self) -> None: ...

    def drain(self) -> None:
        if self._breaks:
            raise RuntimeError("a bug")
        self.told.append("drain")

    def fail(self, error: VoiceError) -> None:
        self.told.append(error.code)
        self._service._streams.discard(self)
        self._service._none_left.set()


async def test_a_session_that_breaks_in_the_drain_costs_the_others_nothing() -> None:
    """A bug in one session's way to stop used to end the drain of all of them."""
    service = Service[Stubborn]("speak", Meter(CollectorRegistry()), stt_ai.error_reply)
    broken, other = Stubborn(service, breaks=True), Stubborn(service, breaks=False)
    await service.drain(0.01, 0.01)
    assert broken.told == [Code.INTERNAL]
    assert other.told == ["drain", Code.SHUTTING_DOWN]
