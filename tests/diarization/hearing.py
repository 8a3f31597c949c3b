"""Recordings told apart as a job does it, with the engines in this process."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

from batch.pipelines import diarize
from batch.pipelines.listening import Recording, speech
from batch.pipelines.stretches import stretches
from engines.diarization.shape import Voices, read_voices
from engines.host import EngineHost
from engines.vad.silero import factory as silero
from tests.diarization.conversations import Conversation

if TYPE_CHECKING:
    from engines.diarization.campplus import Campplus


class Ears:
    """Both engines, called as a host is."""

    def __init__(self, threads: int = 1) -> None:
        from engines.diarization.campplus import factory

        self._diarizer: Campplus = factory({"threads": threads})
        self._detector = silero({})

    async def voices(self, pcm: bytes, windows: int) -> Voices:
        """``EngineHost.voices``."""
        return read_voices(self._diarizer.voices(pcm), windows)

    async def detect(self, windows: bytes, state: bytes) -> tuple[bytes, bytes]:
        """``EngineHost.detect``."""
        return self._detector.detect(windows, state)

    async def listen(self, conversation: Conversation, directory: Path) -> tuple[list[int], Voices]:
        """The windows of a conversation and the voices in them, for ``diarize.who_speaks``."""
        path = directory / "conversation.pcm"
        path.write_bytes(conversation.pcm)
        host, recording = cast(EngineHost, self), Recording(path)
        found = stretches(await speech(recording, host, lambda share: None), recording.seconds)
        return await diarize.listen(recording, found, host, lambda share: None)
