"""What work on texts costs without a language model: `python -m loadtest.texts` (one thread; say what else ran)."""

import random
import time
from collections.abc import Callable
from functools import partial

from engines.text import pii
from engines.text.plain import PlainTexts
from engines.text_calls import Order

_LIST = (
    "the team launch mobile app payment screen customer budget report revenue growth quarter office contract engineer "
    "campaign meeting plan review problem design progress supplier market price quality will must should because and "
    "of to in on for with by next last week month Friday Monday March"
)
_WORDS = _LIST.split()
_LENGTHS = (2_000, 20_000, 200_000)


def main() -> None:
    """Time each kind of work and print a table."""
    rng, engine = random.Random(3), PlainTexts()
    lines = [_sentence(rng) for _ in range(1_000)]
    took = _timed(partial(engine.work, Order("embed", tuple(lines))))
    print(f"embed: {len(lines) / took:.0f} sentences of {sum(map(len, lines)) / len(lines):.0f} characters a second")
    for length in _LENGTHS:
        text = ""
        while len(text) < length:
            text += _sentence(rng) + " "
        orders = {
            "summarize": Order("summarize", (text,), {"style": "detailed"}),
            "topics": Order("analyze", (text,), {"type": "topics"}),
            "sentiment": Order("analyze", (text,), {"type": "sentiment"}),
            "action items": Order("analyze", (text,), {"type": "action_items"}),
            "meeting notes": Order("generate", (text,), {"type": "meeting_notes"}),
        }
        times = {name: _timed(partial(engine.work, order)) for name, order in orders.items()}
        times["private things"] = _timed(partial(pii.redact, text))
        print(f"{length} characters: " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in times.items()))


def _sentence(rng: random.Random) -> str:
    words = [rng.choice(_WORDS) for _ in range(rng.randrange(8, 22))]
    return " ".join(words).capitalize() + rng.choice([".", ".", ".", "?"])


def _timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
