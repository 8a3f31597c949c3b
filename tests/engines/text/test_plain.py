"""Work on texts without a language model, as the engine's process does it."""

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest
import pytest_asyncio

from engines import registry
from engines.base import Task
from engines.host import EngineHost
from engines.supervisor import HostLimits
from engines.text_calls import Order, Outcome
from protocol.errors import Code, VoiceError
from protocol.texts import AnalysisType, SummaryStyle, WritingType
from tests.engines.hosting import hosting
from tests.engines.text.meetings import ENGLISH, GERMAN, VIETNAMESE

SPEC = next(spec for spec in registry.BUILT_IN if spec.name == "plain-texts")
PATIENT = HostLimits(start_s=120.0, grace_s=60.0, wait_s=60.0, check_s=0.05)

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def host() -> AsyncIterator[EngineHost]:
    async with hosting(SPEC, limits=PATIENT) as it:
        yield it


async def done(host: EngineHost, task: str, text: str, **facts: str) -> dict[str, Any]:
    def read(outcome: Outcome) -> dict[str, Any]:
        return outcome.data

    return await host.work(Order(task, (text,), facts), read)


async def found(host: EngineHost, text: str, kind: AnalysisType) -> dict[str, Any]:
    data: dict[str, Any] = (await done(host, "analyze", text, type=kind.value))["data"]
    return data


async def test_it_says_what_it_is(host: EngineHost) -> None:
    able = host.capabilities
    assert (able.engine, able.task, able.model) == ("plain-texts", Task.TEXT, "all-MiniLM-L6-v2-int8")
    assert "writes nothing" in able.note


async def test_it_embeds(host: EngineHost) -> None:
    vectors = await host.work(Order("embed", ("a", "b")), lambda outcome: np.frombuffer(outcome.vectors, np.float32))
    assert vectors.shape == (2 * 384,)


async def test_a_summary_is_made_of_the_texts_own_sentences(host: EngineHost) -> None:
    """C7, C23: and says that it is."""
    for style in (SummaryStyle.BRIEF, SummaryStyle.DETAILED):
        written = await done(host, "summarize", ENGLISH, style=style.value)
        assert written["model"] == "extractive (all-MiniLM-L6-v2-int8)"
        assert 80 < len(written["text"]) < len(ENGLISH)
        assert "mobile app" in written["text"] and "payment screen" in written["text"]
        assert all(sentence in ENGLISH for sentence in written["text"].split(". ")[:-1])
    points = (await done(host, "summarize", ENGLISH, style=SummaryStyle.BULLET_POINTS.value))["text"].split("\n")
    assert len(points) == 6 and all(point.startswith("- ") and point[2:] in ENGLISH for point in points)
    assert (await done(host, "summarize", "Hello.", style="brief"))["text"] == "Hello."
    assert "Tom soll bis Freitag die Bezahlung" in (await done(host, "summarize", GERMAN, style="brief"))["text"]


async def test_what_is_to_be_done_is_found(host: EngineHost) -> None:
    """C7, C14."""
    items = (await found(host, ENGLISH, AnalysisType.ACTION_ITEMS))["action_items"]
    assert [(item["owner"], item["due"]) for item in items] == [
        ("Tom", "Friday"), ("Maria", "end of the month"), (None, None), (None, "next Monday"),
    ]  # fmt: skip
    items = (await found(host, VIETNAMESE, AnalysisType.ACTION_ITEMS))["action_items"]
    assert [item["due"] for item in items] == ["thứ sáu", None] and "Nam sẽ sửa" in items[0]["text"]
    listed = await done(host, "summarize", ENGLISH, style=SummaryStyle.ACTION_ITEMS.value)
    assert listed["model"] == "patterns"
    assert listed["text"].startswith("- Tom will fix the payment screen by Friday.\n- ")
    none = await done(host, "summarize", "It was a nice day and the sun was out.", style="action_items")
    assert none["text"] == "No action items found."


async def test_questions_topics_and_names_are_found(host: EngineHost) -> None:
    """C14."""
    asked = (await found(host, ENGLISH, AnalysisType.QUESTIONS))["questions"]
    assert asked == ["Who can look into the payment problem?", "What about the marketing campaign?"]
    unmarked = "so today we meet again and it is a nice day\nwhat do you think of the plan\nI like it a lot"
    assert (await found(host, unmarked, AnalysisType.QUESTIONS))["questions"] == ["what do you think of the plan"]
    topics = [one["topic"] for one in (await found(host, ENGLISH, AnalysisType.TOPICS))["topics"]]
    assert {"mobile app", "marketing campaign", "payment screen"} <= set(topics)
    assert (await found(host, VIETNAMESE, AnalysisType.TOPICS))["topics"][0]["topic"] == "ứng dụng di động"
    entities = {one["text"]: one["type"] for one in (await found(host, ENGLISH, AnalysisType.ENTITIES))["entities"]}
    assert entities["Anna Schmidt"] == "person" and entities["Acme Corp"] == "organization"
    assert entities["$2.5 million"] == "money" and entities["March 15"] == "date" and entities["10:30"] == "time"
    assert entities["anna.schmidt@example.com"] == "email" and "Please" not in entities and "Today" not in entities


async def test_sentiment_is_judged_in_english(host: EngineHost) -> None:
    """C14."""
    glad = await found(host, "I love this wonderful product. It is great!", AnalysisType.SENTIMENT)
    assert glad["sentiment"] == "positive" and 0 < glad["score"] <= 1 and len(glad["sentences"]) == 2
    sad = await found(host, "This is a terrible disaster and I hate it.", AnalysisType.SENTIMENT)
    assert sad["sentiment"] == "negative"


@pytest.mark.parametrize("kind", [AnalysisType.SENTIMENT, AnalysisType.TOPICS, AnalysisType.ACTION_ITEMS])
async def test_what_needs_lists_of_words_says_for_which_languages_it_has_them(
    host: EngineHost, kind: AnalysisType
) -> None:
    """C23."""
    with pytest.raises(VoiceError) as refused:
        await found(host, GERMAN, kind)
    assert refused.value.code is Code.NOT_INSTALLED and "English" in refused.value.message


async def test_private_things_are_taken_out_in_place(host: EngineHost) -> None:
    """C14."""
    data = await found(host, ENGLISH, AnalysisType.PII_REDACT)
    assert data["redacted_text"] == ENGLISH.replace("anna.schmidt@example.com", "[EMAIL]")
    (one,) = data["found"]
    assert ENGLISH[one["start"] : one["end"]] == "anna.schmidt@example.com" and one["type"] == "EMAIL"


async def test_notes_are_put_together_of_what_was_found(host: EngineHost) -> None:
    """C15, C23."""
    notes = (await done(host, "generate", ENGLISH, type=WritingType.MEETING_NOTES.value))["text"]
    for heading in ("## Summary", "## Topics", "## Action items", "## Questions"):
        assert heading in notes
    assert "- Tom will fix the payment screen by Friday. (Tom, Friday)" in notes
    quotes = (await done(host, "generate", ENGLISH, type=WritingType.KEY_QUOTES.value))["text"].split("\n\n")
    assert len(quotes) == 5 and all(quote.startswith("> ") and quote[2:] in ENGLISH for quote in quotes)
    assert "## Chapters" in (await done(host, "generate", ENGLISH, type=WritingType.SHOW_NOTES.value))["text"]
    assert "## Việc cần làm" in (await done(host, "generate", VIETNAMESE, type="meeting_notes"))["text"]


async def test_chapters_begin_where_the_subject_changes(host: EngineHost) -> None:
    """C15."""
    cooking = [
        "Boil the noodles in salted water.", "Fry the onions in a hot pan.", "Add garlic and pepper to the sauce.",
        "Serve the noodles with the sauce.", "Taste the soup before serving.", "Cut the vegetables very small.",
    ]  # fmt: skip
    space = [
        "The rocket reached its orbit.", "Astronauts repaired the space station.", "Satellites circle the earth.",
        "The telescope photographs planets.", "The crew trains for the moon landing.", "Engines lift the spacecraft.",
    ]  # fmt: skip
    lines = [f"[00:{at:02d}] {line}" for at, line in enumerate([*cooking, *space])]
    chapters = (await done(host, "generate", "\n".join(lines), type=WritingType.CHAPTER_MARKERS.value))["text"]
    times = [line.split(" ")[0] for line in chapters.split("\n")]
    assert times[0] == "00:00" and "00:06" in times
