"""What becomes of the frames that answer a call."""

from engines.calls import Spoken
from engines.frames import Frame, Kind
from engines.speech import SpeechStream
from protocol.errors import Code, VoiceError
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


class Waiting(SpeechStream):
    """A stream that is to be made anew when its call fails, as a queue has it."""

    failures = 0

    def fail(self, error: VoiceError) -> None:
        self.failures += 1


async def test_after_nonsense_nothing_of_the_call_reaches_who_waits_for_another() -> None:
    """The call that was given up ended the clause that waited to be made again: its text was never spoken."""
    stream = Waiting(Speak("hello", "en"))
    call = Spoken(stream, 1.0, Lenient())
    assert not call.take(Frame(Kind.CHUNK, 1, {"rate": 24_000}, (b"odd",)))
    assert not call.take(Frame(Kind.CHUNK, 1, {"rate": 24_000}, (b"ab",)))
    assert call.take(Frame(Kind.DONE, 1))
    call.fail(VoiceError(Code.ENGINE_RESTARTED, "it fell"))
    assert (stream.failures, stream.ended, stream.emitted) == (1, False, False)
