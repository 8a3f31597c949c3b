"""A recording in another format (D17): exactly the rate, channels and bitrate that were asked for, or an error."""

from batch.pipelines.base import JobContext, Produced, Tools
from batch.pipelines.delivery import rate_for
from batch.pipelines.outlet import Outlet, copied, nearest_aac_rate
from batch.pipelines.passes import recording, side_thread
from engines.encode_file import check_file
from protocol.work import Converting, Delivery

_ENCODERS = {"mp3": "lame", "m4a": "libavcodec", "aac": "libavcodec"}


async def run(work: Converting, context: JobContext, tools: Tools) -> Produced:
    """Convert a recording. What is not asked for stays as it is, or becomes the nearest the format has."""
    async with recording(work.upload, context, tools, rate=work.sample_rate, channels=work.channels) as take:
        wanted = work.sample_rate or rate_of(work, take.rate)
        check_file(work.format, wanted, 1000 * work.bitrate if work.bitrate else None)
        with (
            side_thread() as thread,
            Outlet(
                context.directory, work.format, take.rate, take.channels, wanted=wanted, bitrate=work.bitrate
            ) as outlet,
        ):
            await copied(take, outlet, thread, context.progress)
        return Produced((outlet.file,), engine=_ENCODERS.get(work.format, "libsndfile"), seconds=take.seconds)


def rate_of(work: Converting, native: int) -> int:
    """The rate to write where none was asked for."""
    if work.format in ("m4a", "aac"):
        return nearest_aac_rate(native)
    kind = "mp3" if work.format == "mp3" else "wav"
    return rate_for(Delivery(format=kind, bitrate=work.bitrate), native)  # type: ignore[arg-type]
