"""What was said before in conversations about transcripts, by their ids: bounded, and in this process only."""

from collections import OrderedDict
from collections.abc import Hashable, Sequence

from protocol.texts import Role, Turn

_CONVERSATIONS, _TURNS = 1000, 20  # kept; the one unused for longest is forgotten first


class Conversations:
    """The turns of each conversation, oldest first."""

    def __init__(self, most: int = _CONVERSATIONS, turns: int = _TURNS) -> None:
        self._most = most
        self._turns = turns
        self._known: OrderedDict[Hashable, tuple[Turn, ...]] = OrderedDict()

    def of(self, which: Hashable) -> Sequence[Turn]:
        """What was said; nothing for one that is not known."""
        return self._known.get(which, ())

    def add(self, which: Hashable, question: str, answer: str) -> None:
        """A question was answered."""
        said = (*self._known.pop(which, ()), Turn(Role.USER, question), Turn(Role.ASSISTANT, answer))
        self._known[which] = said[-self._turns :]
        if len(self._known) > self._most:
            self._known.popitem(last=False)
