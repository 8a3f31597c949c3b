"""Notes put together of what was found in a text: quotes, chapters, what was said, is to be done, was asked."""

import re
from collections.abc import Sequence

from engines.text import actions, entities
from engines.text.extracts import Extracts
from engines.text.minilm import MiniLM
from engines.text.sentences import without_time
from engines.text.tongues import ENGLISH, VIETNAMESE
from engines.text.topics import find_topics
from protocol.texts import WritingType

_QUOTES, _CHAPTERS, _SUMMARY, _TOPICS = 5, 12, 4, 6
_TIME = re.compile(r"^\[?((?:\d{1,2}:)?\d{1,2}:\d{2})\]?(?=\s)")
_TITLE_WORDS = 8

_WORDS = {
    ENGLISH: ("Summary", "Topics", "Chapters", "Action items", "Questions", "Links", "None."),
    VIETNAMESE: ("Tóm tắt", "Chủ đề", "Chương", "Việc cần làm", "Câu hỏi", "Liên kết", "Không có."),
}


class Notes:
    """Writes them as Markdown."""

    def __init__(self, extracts: Extracts, model: MiniLM) -> None:
        self._extracts = extracts
        self._model = model

    def write(self, kind: WritingType, sentences: Sequence[str], language: str) -> str:
        """One of the kinds that need no language model."""
        if kind is WritingType.KEY_QUOTES:
            chosen = self._extracts.quotes(sentences, _QUOTES)
            return "\n\n".join(f"> {without_time(sentences[at])}" for at in chosen)
        if kind is WritingType.CHAPTER_MARKERS:
            return self._chapters(sentences, language)
        if kind is WritingType.MEETING_NOTES:
            return self._meeting(sentences, language)
        return self._show(sentences, language)

    def _meeting(self, sentences: Sequence[str], language: str) -> str:
        summary, topics, _, todo, asked, _, none = _WORDS.get(language, _WORDS[ENGLISH])
        known = language in _WORDS
        done = [_action(item) for item in actions.action_items(sentences, language)] if known else []
        parts = [
            f"## {summary}\n\n{self._summary(sentences)}",
            f"## {topics}\n\n{self._topics(sentences, language)}" if known else "",
            f"## {todo}\n\n{_listed(done) or none}" if known else "",
            f"## {asked}\n\n{_listed(actions.questions(sentences, language)) or none}",
        ]
        return "\n\n".join(filter(None, parts))

    def _show(self, sentences: Sequence[str], language: str) -> str:
        summary, topics, chapters, _, _, links, _ = _WORDS.get(language, _WORDS[ENGLISH])
        urls = [str(one["text"]) for one in entities.find_entities(sentences) if one["type"] == "url"]
        parts = [
            f"## {summary}\n\n{self._summary(sentences)}",
            f"## {topics}\n\n{self._topics(sentences, language)}" if language in _WORDS else "",
            f"## {chapters}\n\n{self._chapters(sentences, language)}",
            f"## {links}\n\n{_listed(urls)}" if urls else "",
        ]
        return "\n\n".join(filter(None, parts))

    def _summary(self, sentences: Sequence[str]) -> str:
        return " ".join(without_time(sentences[at]) for at in self._extracts.best(sentences, _SUMMARY))

    def _topics(self, sentences: Sequence[str], language: str) -> str:
        return _listed([topic.text for topic in find_topics(sentences, language, self._model)[:_TOPICS]])

    def _chapters(self, sentences: Sequence[str], language: str) -> str:
        """A line for each: its time, where lines have times, else its number, and what it is about."""
        starts = self._extracts.chapters(sentences, _CHAPTERS)
        lines, used = [], set[str]()
        for number, start in enumerate(starts):
            end = starts[number + 1] if number + 1 < len(starts) else len(sentences)
            part = [without_time(sentence) for sentence in sentences[start:end]]
            title = self._title(part, language, used)
            used.add(title)
            time = _time_at(sentences, start)
            lines.append(f"{time} {title}" if time else f"{number + 1}. {title}")
        return "\n".join(lines)

    def _title(self, part: Sequence[str], language: str, used: set[str]) -> str:
        topics = find_topics(part, language, self._model) if language in _WORDS else []
        for topic in topics:
            title = topic.text[:1].upper() + topic.text[1:]
            if title not in used:
                return title
        words = part[0].split()
        return " ".join(words[:_TITLE_WORDS]) + (" ..." if len(words) > _TITLE_WORDS else "")


def _time_at(sentences: Sequence[str], at: int) -> str:
    """The time of the line a sentence stands in."""
    times = (_TIME.match(sentences[place]) for place in range(at, -1, -1))
    return next((found[1] for found in times if found), "")


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _action(item: dict[str, object]) -> str:
    facts = ", ".join(str(item[name]) for name in ("owner", "due") if item[name])
    return f"{item['text']} ({facts})" if facts else str(item["text"])
