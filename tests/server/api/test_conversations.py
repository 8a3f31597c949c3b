"""What was said before in a conversation."""

from protocol.texts import Role, Turn
from server.api.conversations import Conversations


def test_turns_in_order_each_conversation_for_itself() -> None:
    kept = Conversations()
    kept.add((1, "a"), "Who?", "Anna.")
    kept.add((1, "a"), "When?", "On Friday.")
    said = [Turn(Role.USER, "Who?"), Turn(Role.ASSISTANT, "Anna."), Turn(Role.USER, "When?")]
    assert list(kept.of((1, "a"))) == [*said, Turn(Role.ASSISTANT, "On Friday.")] and not kept.of((2, "a"))


def test_bounds() -> None:
    kept = Conversations(most=2, turns=2)
    for name in "abac":
        kept.add(name, name, name)
    assert not kept.of("b") and len(kept.of("a")) == 2 and kept.of("c")
