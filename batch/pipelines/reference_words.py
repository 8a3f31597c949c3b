"""What is said in a recording that is to be cloned: some engines sound more like it when they know its words."""

import asyncio
from dataclasses import replace

from engines.base import Task
from engines.fleet import Fleet
from engines.resample import resample_file
from protocol.errors import VoiceError
from protocol.requests import Decode, Priority, Reference

LONGEST_S = 20  # of a recording whose words are to be known: more makes no voice better
_RATE = 16_000
_SURE = -0.7  # mean log probability of the words; wrong ones are worse than none


async def with_words(reference: Reference, fleet: Fleet) -> Reference:
    """The same, cut to its first seconds, with its words; as it was where nobody here needs or knows them.

    Only a recogniser that tells languages apart is asked: another one would hear its own language in any.
    """
    clones = (able for able in fleet.capabilities if able.task is Task.SYNTHESIZE and able.cloning)
    first = next(clones, None)
    if first is None or not first.wants_words:
        return reference
    try:
        if not fleet.transcriber().detects_language:
            return reference
        heard = replace(reference, pcm=reference.pcm[: 2 * reference.rate * LONGEST_S])
        pcm = await asyncio.to_thread(resample_file, heard.pcm, heard.rate, _RATE)
        async with fleet.batch_recognizer().borrow() as recognizer:
            said = await recognizer.recognize(Decode(pcm), priority=Priority.BATCH)
    except VoiceError:
        return reference  # a clone without them is still one
    if not said.text or said.average_log_probability < _SURE:
        return reference
    return replace(heard, text=said.text)
