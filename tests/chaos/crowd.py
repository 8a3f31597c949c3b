"""`python -m tests.chaos.crowd WS COUNT`: clients in a process of their own, so that it can be frozen or cut off.

They take the stages in turn, say "ready" on stdout when each has come to its own, and go on until they are killed.
"""

import asyncio
import sys

from tests.chaos.clients import STAGES, go_on, on_stage


async def main(ws: str, count: int) -> None:
    """Stay for ever."""
    stages = [STAGES[number % len(STAGES)] for number in range(count)]
    # Those who say nothing come last: the server gives them only so long.
    talking = [stage for stage in stages if stage != "connected"]
    silent = [stage for stage in stages if stage == "connected"]
    streams = list(zip(await asyncio.gather(*(on_stage(ws, stage) for stage in talking)), talking, strict=True))
    streams += zip(await asyncio.gather(*(on_stage(ws, stage) for stage in silent)), silent, strict=True)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.gather(*(go_on(stream, stage) for stream, stage in streams))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
