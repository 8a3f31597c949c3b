"""What a language model says it found in a text, taken for what it is: JSON if all goes well, and checked."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from protocol.texts import Analysis, AnalysisType, Written

_MOST = 100

Text = Annotated[str, Field(min_length=1, max_length=2_000)]


class _Found(BaseModel):
    model_config = ConfigDict(extra="ignore", str_strip_whitespace=True)


class _Sentiment(_Found):
    sentiment: Literal["positive", "neutral", "negative"]
    score: float = Field(ge=-1, le=1)


class _Topic(_Found):
    topic: Text
    score: float = Field(ge=0, le=1, default=1.0)


class _Topics(_Found):
    topics: list[_Topic] = Field(max_length=_MOST)


class _Entity(_Found):
    text: Text
    type: Annotated[str, Field(max_length=40)] = "name"


class _Entities(_Found):
    entities: list[_Entity] = Field(max_length=_MOST)


class _Action(_Found):
    text: Text
    owner: Annotated[str, Field(max_length=200)] | None = None
    due: Annotated[str, Field(max_length=200)] | None = None


class _Actions(_Found):
    action_items: list[_Action] = Field(max_length=_MOST)


class _Questions(_Found):
    questions: list[Text] = Field(max_length=_MOST)


_SHAPES: dict[AnalysisType, type[_Found]] = {
    AnalysisType.SENTIMENT: _Sentiment,
    AnalysisType.TOPICS: _Topics,
    AnalysisType.ENTITIES: _Entities,
    AnalysisType.ACTION_ITEMS: _Actions,
    AnalysisType.QUESTIONS: _Questions,
}


def read_findings(written: Written, text: str, kind: AnalysisType) -> Analysis | None:
    """The findings in an answer, with how often each occurs in the text; None when it is not what was asked for."""
    begin, end = written.text.find("{"), written.text.rfind("}")
    try:
        found = _SHAPES[kind].model_validate(json.loads(written.text[begin : end + 1]))
    except (ValueError, ValidationError, RecursionError):
        return None
    data: dict[str, Any] = found.model_dump()
    lower = text.lower()
    for topic in data.get("topics", ()):
        topic["mentions"] = lower.count(topic["topic"].lower())
    for entity in data.get("entities", ()):
        entity["count"] = max(1, lower.count(entity["text"].lower()))
    return Analysis(kind, data, written.model)
