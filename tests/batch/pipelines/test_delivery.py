"""The rate a file is written at, and what is left of one nobody waits for."""

import asyncio
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from batch.pipelines.delivery import deliver, rate_for
from batch.pipelines.tape import Tape
from protocol.work import Delivery
from tests.engines.sound import tone


@pytest.mark.parametrize(
    ("delivery", "native", "rate"),
    [
        (Delivery(), 22_050, 22_050),
        (Delivery(sample_rate=48_000), 22_050, 48_000),
        (Delivery(format="flac"), 24_000, 24_000),
        (Delivery(format="mp3"), 24_000, 24_000),
        (Delivery(format="mp3"), 19_000, 22_050),
        (Delivery(format="mp3", bitrate=8), 48_000, 24_000),
        (Delivery(format="mp3", bitrate=192), 22_050, 32_000),
        (Delivery(format="mp3", bitrate=128, sample_rate=44_100), 22_050, 44_100),
        (Delivery(format="mp3", bitrate=7), 22_050, 22_050),
    ],
)
def test_the_rate_is_that_of_the_sound_where_the_format_has_it(delivery: Delivery, native: int, rate: int) -> None:
    assert rate_for(delivery, native) == rate


async def test_a_file_nobody_waits_for_is_not_finished(tmp_path: Path) -> None:
    begun, go_on = Event(), Event()

    def tell(_: float) -> None:
        begun.set()
        go_on.wait(20)

    with closing(Tape(tmp_path / "tape", 22_050)) as tape:
        for _ in range(5):
            tape.add(tone(300, 10.0, 22_050))
        task = asyncio.ensure_future(deliver(tape, Delivery(format="wav"), tmp_path, tell))
        assert await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()
        await asyncio.get_running_loop().shutdown_default_executor()  # waits for the thread
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240
