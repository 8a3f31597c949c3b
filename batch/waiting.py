"""Waits for the end of a job, for who answers a request with what came of it."""

import asyncio

from batch.dispatch import Dispatch, job_done
from batch.jobs import Job
from batch.queue import Queue

# When no hint comes (another process does the job, and there is no Redis) the store is asked, at first often.
_POLL_FIRST_S, _POLL_MOST_S = 0.1, 1.0
_SLOWER = 1.5


async def wait_until_finished(queue: Queue, dispatch: Dispatch, user_id: int, job_id: str, *, timeout_s: float) -> Job:
    """The job when it is over, or as it stands after ``timeout_s`` seconds. Raises NOT_FOUND for another's job."""
    loop = asyncio.get_running_loop()
    deadline, pause = loop.time() + timeout_s, _POLL_FIRST_S
    with dispatch.listening(job_done(job_id)) as ear:
        while True:
            found = await queue.get(user_id, job_id)
            left = deadline - loop.time()
            if found.finished or left <= 0:
                return found
            await ear.wait(min(pause, left))
            pause = min(pause * _SLOWER, _POLL_MOST_S)
