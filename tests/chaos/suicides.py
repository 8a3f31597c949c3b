"""`python -m tests.chaos.suicides`: a web process that is killed while it accepts a job; forked for each line of stdin.

A line is JSON: the key and the script of a submission, and ``statement``: at which statement of the database (counting
commits) it is killed, 0 for not at all. The answer is the id of the job, or "killed", or the code of an error. The last
statement counted is one after the commit: killed there, the job is accepted and nobody has heard of it.
"""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event

from protocol.errors import VoiceError
from tests.batch.half import open_half, submission


async def accept(url: str, directory: Path, asked: dict[str, Any]) -> str:
    """Submit, and be killed at the chosen statement."""
    async with open_half(url, directory) as half:
        left = int(asked["statement"])

        def count(*_given: object) -> None:
            nonlocal left
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        for engine in half.store.engines:
            event.listen(engine, "before_cursor_execute", count)
            event.listen(engine, "commit", count)
        try:
            job = await half.queue.submit(submission(asked["user"], asked["script"], key=asked["key"]))
        except VoiceError as error:
            return error.code.value
        count()
        return job.id


def main() -> None:
    """One process for each line."""
    url, directory = sys.argv[1], Path(sys.argv[2])
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            answer = asyncio.run(accept(url, directory, json.loads(line)))
            sys.stdout.write(f"{answer}\n")
            sys.stdout.flush()
            os._exit(0)
        if os.WIFSIGNALED(os.waitpid(pid, 0)[1]):
            sys.stdout.write("killed\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
