"""The nano HTDemucs does what it is for, in a server's own engine process: more than the classical method can."""

from collections.abc import AsyncIterator, Mapping

import numpy as np
import pytest
import pytest_asyncio

from engines import registry
from engines.host import EngineHost
from engines.separation import repetition
from engines.supervisor import HostLimits
from tests.checkpoints.nano_demucs.held_out import Mix, gains, held_out_mixes, si_sdr
from tests.checkpoints.nano_demucs.music import RATE, Sound
from tests.checkpoints.nano_demucs.shape import FOLDER
from tests.engines.hosting import hosting

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS, COUNT = 20.0, 3
MARGIN_DB = 1.5


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def nano() -> AsyncIterator[EngineHost]:
    spec = next(spec for spec in registry.BUILT_IN if spec.name == "demucs")
    limits = HostLimits(start_s=120.0, grace_s=120.0)
    async with hosting(spec.with_options(directory=str(FOLDER), threads=1), limits=limits) as host:
        yield host


def gained(mix: Mix, stems: Mapping[str, bytes]) -> tuple[float, float]:
    return gains(mix, stems["vocals"], stems["instrumental"])


@pytest.mark.parametrize("strangers", [False, True], ids=["voices it knows", "voices it never heard"])
async def test_both_stems_gain_more_than_by_the_classical_method(nano: EngineHost, strangers: bool) -> None:
    """In SI-SDR over the mix; music, sentences and mixes are held out in any case."""
    classical = repetition.factory({})
    found, yardstick = [], []
    for mix in held_out_mixes(COUNT, SECONDS, strangers=strangers):
        found.append(gained(mix, await nano.separate(mix.pcm, RATE, 2)))
        yardstick.append(gained(mix, classical.separate(mix.pcm, RATE, 2)))
    for stem in (0, 1):
        mean, other = (sum(gain[stem] for gain in each) / COUNT for each in (found, yardstick))
        assert mean > other + MARGIN_DB, (stem, found, yardstick)
        assert min(gain[stem] for gain in found) > 2.0, (stem, found)


async def test_a_voice_alone_stays_a_voice_and_music_stays_music(nano: EngineHost) -> None:
    (mix,) = held_out_mixes(1, 8.0)
    for alone, kept in ((Mix(mix.voice, 0 * mix.music), "vocals"), (Mix(0 * mix.voice, mix.music), "instrumental")):
        stems = await nano.separate(alone.pcm, RATE, 2)
        whole = alone.voice + alone.music
        assert si_sdr(whole, _sound(stems[kept])) > 8.0, kept


def _sound(pcm: bytes) -> Sound:
    return np.frombuffer(pcm, "<i2").reshape(-1, 2).astype(np.float32)
