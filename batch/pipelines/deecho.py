"""A recording with less of its room in it (D15): one distinct echo undone, reverberation lowered.

All of it is heard first: an echo shows in the mean of many spectra, how a room decays in many pauses. Where no echo
stands out none is taken away, and the outcome's note says so.
"""

import asyncio
import math
import statistics
from collections.abc import Mapping, Sequence

import numpy as np

from batch.pipelines.base import JobContext, Produced, Tools
from batch.pipelines.delivery import rate_for
from batch.pipelines.outlet import Outlet
from batch.pipelines.passes import listen, recording, side_thread, treat
from engines import fields
from engines.sound.echo import LONGEST_S, Echo, find_echo
from protocol.work import Deechoing

_LISTENING = 0.2  # the share of the work
_USUAL_DECAY_S = 0.5  # of a room that does not tell
_DECAYS_S = (0.15, 3.0)
_MOST_WINDOWS = 10_000


async def run(work: Deechoing, context: JobContext, tools: Tools) -> Produced:
    """Take the room out of a recording."""
    async with recording(work.upload, context, tools) as take:
        async with tools.fleet.sound_tool("deecho").borrow() as host:
            heard = await listen(take, host, {"listen": True}, context.step(0.0, _LISTENING))
            echo = await asyncio.to_thread(echo_in, heard) if work.echo else None
            decay_s = decay_in(heard) if work.reverb else 0.0
            order: dict[str, object] = {"intensity": work.intensity, "reverb_s": decay_s}
            if echo is not None:
                order |= {"delay_s": echo.delay_s, "gain": echo.gain, "again": echo.again}
            with (
                side_thread() as thread,
                Outlet(
                    context.directory,
                    work.delivery.format,
                    take.rate,
                    take.channels,
                    wanted=rate_for(work.delivery, take.rate),
                    bitrate=work.delivery.bitrate,
                ) as outlet,
            ):
                await treat(take, host, order, context.step(_LISTENING, 1.0), outlet.write, thread)
            engine = host.capabilities.engine
        return Produced((outlet.file,), engine=engine, seconds=take.seconds, note=_note(work, echo, decay_s))


def echo_in(heard: Sequence[Mapping[str, object]]) -> Echo | None:
    """The echo of a whole recording, by what was heard in its stretches."""
    total, windows, rate = np.zeros(0), 0, 0
    for facts in heard:
        rate = int(fields.number(facts.get("rate"), 8_000, 48_000))
        longest = round(2 * LONGEST_S * rate) + 1
        count = int(fields.number(facts.get("windows"), 0, _MOST_WINDOWS))
        values = fields.items(dict(facts), "cepstrum", longest)
        cepstrum = np.array([fields.number(value, -100.0, 100.0) for value in values])
        if count and not len(total):
            total = np.zeros(len(cepstrum))
        if count and len(cepstrum) == len(total):
            total, windows = total + count * cepstrum, windows + count
    return find_echo(total / windows, rate) if windows else None


def decay_in(heard: Sequence[Mapping[str, object]]) -> float:
    """Seconds in which the room of a recording falls by 60 dB."""
    told = [fields.number(facts.get("decay_s"), 0.0, 60.0) for facts in heard]
    known = [decay for decay in told if decay]
    low, high = _DECAYS_S
    return min(high, max(low, statistics.median(known))) if known else _USUAL_DECAY_S


def _note(work: Deechoing, echo: Echo | None, decay_s: float) -> str:
    said: list[str] = []
    if work.echo and echo is None:
        said.append("no distinct echo was found")
    elif echo is not None:
        said.append(f"an echo after {1000 * echo.delay_s:.0f} ms at {20 * math.log10(echo.gain):.1f} dB taken away")
    if work.reverb:
        said.append(f"reverberation lowered (the room seems to fall by 60 dB in {decay_s:.2f} s)")
    return "; ".join([*said, f"intensity {work.intensity}"])
