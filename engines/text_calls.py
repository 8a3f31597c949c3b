"""What an engine that works on texts is asked and answers, and both as buffers on the pipe.

One call does one thing (``Order.task``) to some texts and answers with plain JSON, and with vectors where numbers are
the answer. Who asked knows what the answer must look like and reads it with ``engines.fields``, as a child is not
trusted.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from engines.fields import exactly
from engines.frames import BUFFER_BYTES, Head, WireError


@dataclass(frozen=True, slots=True)
class Order:
    """One thing to do; ``facts`` are plain JSON values."""

    task: str  # "embed", "summarize", "write", "translate" ...
    texts: tuple[str, ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: a JSON object, and float32 vectors one after the other where there are any."""

    data: Head = field(default_factory=dict)
    vectors: bytes = b""


def pack_order(order: Order) -> tuple[bytes, ...]:
    """The one buffer of an order. Raises WireError for more than fits."""
    return (_packed({"task": order.task, "texts": order.texts, "facts": dict(order.facts)}),)


def read_order(buffers: Sequence[bytes]) -> Order:
    """In the child: the order again."""
    said = _object(buffers[0])
    texts = tuple(exactly(str, text) for text in exactly(list, said.get("texts")))
    return Order(exactly(str, said.get("task")), texts, exactly(dict, said.get("facts")))


def pack_outcome(outcome: Outcome) -> tuple[bytes, ...]:
    """In the child: the two buffers of what came of it."""
    return (_packed(outcome.data), outcome.vectors)


def read_outcome(buffers: Sequence[bytes]) -> Outcome:
    """What came of it, its values yet to be checked."""
    if len(buffers) != 2 or len(buffers[1]) % 4:
        raise WireError("not an outcome")
    return Outcome(_object(buffers[0]), buffers[1])


def _packed(value: object) -> bytes:
    packed = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode("utf-8", "replace")
    if len(packed) > BUFFER_BYTES:
        raise WireError("texts are over their limits")
    return packed


def _object(data: bytes) -> Head:
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise WireError("not JSON") from None
    return exactly(dict, value)
