"""A recording made better to listen to (C16, D13): steady noise lowered, speech brought forward, levels evened out.

What the upper band of a narrow recording held cannot be known; asked for ``super_resolution`` one is made up from the
band below it, at 48 kHz, and the outcome's note says so. A recording that reaches high enough already is left alone.
"""

from batch.pipelines.base import JobContext, Produced, Tools
from batch.pipelines.delivery import rate_for
from batch.pipelines.outlet import Outlet, copied
from batch.pipelines.passes import Take, listen, recording, side_thread, treat
from engines import fields
from engines.host import EngineHost
from engines.sound import bandwidth
from engines.sound.levels import Levelled, Loudness
from protocol.work import Enhancing

_LISTENING, _TREATING = 0.1, 0.85  # the shares of the work that are done after each step; the rest is encoding
_NYQUIST_HZ = 96_000.0


async def run(work: Enhancing, context: JobContext, tools: Tools) -> Produced:
    """Enhance a recording."""
    async with recording(work.upload, context, tools) as take:
        async with tools.fleet.sound_tool("enhance").borrow() as host:
            reach = await _reach(take, host, context) if work.super_resolution else 0.0
            better, loudness, taken_db = await _treated(take, work, reach, host, context)
            engine = host.capabilities.engine
        gain_db = loudness.gain_db() if work.normalize else 0.0
        outlet = await _encoded(better, work, gain_db, context)
        note = _note(work, taken_db, loudness, gain_db, reach, take.rate)
        return Produced((outlet.file,), engine=engine, seconds=take.seconds, note=note)


async def _reach(take: Take, host: EngineHost, context: JobContext) -> float:
    """Up to which frequency a recording has sound, if there is something to make up above it; else 0."""
    heard = await listen(take, host, {"listen": True}, context.step(0.0, _LISTENING))
    reach = max(fields.number(facts.get("reach"), 0.0, _NYQUIST_HZ) for facts in heard)
    return reach if bandwidth.can_extend(reach) else 0.0


async def _treated(
    take: Take, work: Enhancing, reach: float, host: EngineHost, context: JobContext
) -> tuple[Take, Loudness, float]:
    """What the tool made of it, in a file; how loud that is, and how much power was taken for noise, dB."""
    order = {"denoise": work.denoise, "clarity": work.clarity, "strength": work.strength, "reach": reach}
    better = Take(context.directory / "treated", bandwidth.RATE if reach else take.rate, take.channels)
    loudness = Loudness(better.rate, better.channels)
    with side_thread() as thread, better.path.open("wb") as file:

        def write(pcm: bytes) -> None:
            file.write(pcm)
            loudness.add(pcm)

        tell = context.step(_LISTENING, _TREATING)
        told = await treat(take, host, order, tell, write, thread, rate=better.rate)
    taken = min((fields.number(facts.get("taken_db"), -200.0, 1.0) for facts in told), default=0.0)
    return better, loudness, taken


async def _encoded(take: Take, work: Enhancing, gain_db: float, context: JobContext) -> Outlet:
    """What was treated, at its level, as the file that was asked for."""
    delivery = work.delivery
    with (
        side_thread() as thread,
        Outlet(
            context.directory,
            delivery.format,
            take.rate,
            take.channels,
            wanted=rate_for(delivery, take.rate),
            bitrate=delivery.bitrate,
            steps=[Levelled(take.rate, take.channels, gain_db)] if work.normalize else [],
        ) as outlet,
    ):
        await copied(take, outlet, thread, context.step(_TREATING, 1.0))
    take.path.unlink()
    return outlet


def _note(work: Enhancing, taken_db: float, loudness: Loudness, gain_db: float, reach: float, rate: int) -> str:
    """What was done, in words."""
    said: list[str] = []
    if work.denoise:
        said.append(f"steady noise lowered (strength {work.strength}; {-taken_db:.1f} dB less power at most)")
    if work.clarity:
        said.append("speech brought forward (2 to 6 kHz)")
    if work.super_resolution:
        said.append(
            f"48 kHz, with what lies above {reach / 1000:.1f} kHz made up from the band below"
            if reach
            else f"bandwidth left alone: the recording's {rate} Hz hold all that can be continued"
        )
    if work.normalize and gain_db:
        said.append(f"loudness from {loudness.lufs:.1f} to about {loudness.lufs + gain_db:.1f} LUFS")
    return "; ".join(said)
