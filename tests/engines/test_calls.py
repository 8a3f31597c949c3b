"""What becomes of the frames that answer a call."""

from engines.calls import Spoken
from engines.frames import Frame, Kind
from engines.speech import SpeechStream
from protocol.requests import Speak


class Lenient:
    """A judge that does not judge."""

    def did_well(self) -> None: ...

    def did_badly(self) -> None: ...


async def test_an_empty_chunk_is_a_sign_of_life_and_no_sound() -> None:
    """An engine that works on a sentence for minutes is not hung, and may still be begun again elsewhere."""
    stream = SpeechStream(Speak("hello", "en"))
    call = Spoken(stream, 1.0, Lenient())
    assert not call.take(Frame(Kind.CHUNK, 1, {"rate": 24_000}, (b"",)))
    assert not stream.emitted
    assert not call.take(Frame(Kind.CHUNK, 1, {"rate": 24_000}, (b"ab",)))
    assert call.take(Frame(Kind.DONE, 1))
    assert [chunk.pcm async for chunk in stream] == [b"ab"]
