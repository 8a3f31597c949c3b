"""The recording of a voice between its trial and its being saved: kept with the uploads, for an hour at most."""

import asyncio
import io
import shutil

import numpy as np
import soundfile

from batch.media import sound_of
from batch.uploads import Uploads
from protocol.errors import Code, VoiceError

CLONE_RATE = 24_000


class References:
    """Recordings that a page holds on to; a name of one is as hard to guess as a key."""

    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    async def keep(self, upload: str) -> str:
        """A copy of a decoded upload that has not been handed to a job yet: its name."""
        source = self._uploads.incoming(upload)
        name, target = self._uploads.reserve(source.stat().st_size, shape=f".{CLONE_RATE}.1")
        await asyncio.to_thread(shutil.copyfile, source, target)
        async with self._uploads.kept(name):
            return name

    async def read(self, name: str) -> bytes:
        """The recording as FLAC. GONE when it was kept too long ago, BAD_REQUEST for what is no name of one."""
        try:
            sound = sound_of(self._uploads.path(name))
        except ValueError:
            sound = None
        if sound is None or (sound.rate, sound.channels) != (CLONE_RATE, 1):
            raise VoiceError(Code.BAD_REQUEST, "There is no such recording; send it again.", field="ref_audio")
        pcm = await asyncio.to_thread(sound.path.read_bytes)
        return await asyncio.to_thread(_flac, pcm)

    async def forget(self, name: str) -> None:
        """Remove it, once the voice is saved."""
        if name:
            await self._uploads.remove(name)


def _flac(pcm: bytes) -> bytes:
    written = io.BytesIO()
    soundfile.write(written, np.frombuffer(pcm, "<i2"), CLONE_RATE, format="FLAC", subtype="PCM_16")
    return written.getvalue()
