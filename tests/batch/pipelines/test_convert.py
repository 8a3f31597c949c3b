"""D17: every format, at the rate, the channels and the bitrate that were asked for, as FFmpeg finds them."""

from pathlib import Path

import numpy as np
import pytest

from batch.pipelines import convert
from engines.sound.spectra import Sound
from protocol.errors import Code, VoiceError
from protocol.work import Converting
from tests.batch.pipelines.raw import probed, studio, upload

SECONDS = 3.0
CODECS = {"mp3": "mp3float", "wav": "pcm_s16le", "flac": "flac", "ogg": "vorbis", "m4a": "aac", "aac": "aac"}


def noise(rate: int, channels: int) -> Sound:
    """Something that takes every bit a bitrate allows."""
    return 0.2 * np.random.default_rng(0).standard_normal((channels, round(SECONDS * rate))).astype(np.float32)


async def test_every_format_rate_and_number_of_channels(tmp_path: Path) -> None:
    async with studio(tmp_path, []) as it:
        name = upload(it, noise(32_000, 2), 32_000)
        for format, codec in CODECS.items():
            for rate, channels in ((22_050, 1), (48_000, 2)):
                work = Converting(upload=name, seconds=1.0, format=format, sample_rate=rate, channels=channels)  # type: ignore[arg-type]
                produced = await convert.run(work, it.context(), it.tools)
                found = probed(produced.files[0].path)
                assert found[:3] == (codec, rate, channels), format
                assert found[3] == pytest.approx(SECONDS, abs=0.15)
                assert it.shares[-1] == 1.0


@pytest.mark.parametrize("bitrate", [64, 128, 192, 256, 320])
async def test_bitrates(tmp_path: Path, bitrate: int) -> None:
    async with studio(tmp_path, []) as it:
        name = upload(it, noise(44_100, 2), 44_100)
        for format, tolerance in (("mp3", 0.02), ("m4a", 0.1), ("aac", 0.1), ("ogg", 0.45)):
            work = Converting(upload=name, seconds=1.0, format=format, bitrate=bitrate)  # type: ignore[arg-type]
            produced = await convert.run(work, it.context(), it.tools)
            assert probed(produced.files[0].path)[4] == pytest.approx(1000 * bitrate, rel=tolerance), format


async def test_what_is_not_asked_for_stays_as_it_is(tmp_path: Path) -> None:
    async with studio(tmp_path, []) as it:
        name = upload(it, noise(16_000, 1), 16_000)
        for format in CODECS:
            produced = await convert.run(
                Converting(upload=name, seconds=1.0, format=format), it.context(), it.tools  # type: ignore[arg-type]
            )
            assert probed(produced.files[0].path)[1:3] == (16_000, 1)
        name = upload(it, noise(37_000, 1), 37_000)
        for format, rate in (("mp3", 44_100), ("aac", 44_100), ("flac", 37_000)):
            produced = await convert.run(
                Converting(upload=name, seconds=1.0, format=format), it.context(), it.tools  # type: ignore[arg-type]
            )
            assert probed(produced.files[0].path)[1] == rate


async def test_a_bitrate_the_rate_does_not_have_is_refused(tmp_path: Path) -> None:
    async with studio(tmp_path, []) as it:
        work = Converting(upload=upload(it, noise(44_100, 2), 44_100), seconds=1.0, bitrate=320, sample_rate=22_050)
        with pytest.raises(VoiceError) as caught:
            await convert.run(work, it.context(), it.tools)
        assert (caught.value.code, caught.value.facts["field"]) == (Code.BAD_REQUEST, "bitrate")
