"""Seed C's work on texts over a real server, with what is installed without a download (docs/texts.md)."""

import math

import pytest

from tests.api.serving import Api, Person
from tests.api.test_stt_ai_transcribe import refusal

TALK = (
    "The team met on Monday to discuss the launch. Revenue grew by fifteen percent in the third quarter, which "
    "everybody welcomed. Anna will send the report to the board by Friday. Who is going to call the new supplier? "
    "Write to anna@example.com or call +1 555 010 9999. The launch is planned for March, and the budget is twelve "
    "thousand dollars."
)


@pytest.mark.parametrize("style", ["brief", "detailed", "action_items", "bullet_points"])
def test_summarize(idle: Api, style: str) -> None:
    """C7: in its own words where a language model is there, in the text's where none is."""
    with idle.client(idle.person()) as client:
        reply = client.post("/v1/summarize", json={"text": TALK, "style": style})
    assert reply.status_code == 200, reply.text
    told = reply.json()
    assert told.keys() == {"summary", "style", "model"} and told["style"] == style and told["model"]
    assert told["summary"] and (style != "brief" or len(told["summary"]) < len(TALK))


def test_analyze(idle: Api) -> None:
    """C14."""
    with idle.client(idle.person()) as client:
        found = {}
        for kind in ("sentiment", "topics", "entities", "action_items", "questions", "pii_redact"):
            reply = client.post("/c/v1/analyze", json={"text": TALK, "type": kind})
            assert reply.status_code == 200, reply.text
            assert reply.json().keys() == {"type", "result", "model"} and reply.json()["type"] == kind
            found[kind] = str(reply.json()["result"])
    assert "Anna will send the report" in found["action_items"] and "supplier" in found["questions"]
    assert "anna@example.com" not in found["pii_redact"] and "555 010 9999" not in found["pii_redact"]


def test_generate_and_translate_need_a_language_model(idle: Api) -> None:
    """C13, C15, C23: nothing that is installed without a download can, and the answer names the command that helps."""
    with idle.client(idle.person()) as client:
        for path, body in (
            ("/v1/generate", {"text": TALK, "type": "blog_post"}),
            ("/v1/translate", {"text": "Hello world", "target": "es"}),
            ("/v1/translate", {"texts": ["Hello", "World"], "target": "es", "source": "en"}),
        ):
            reply = client.post(path, json=body)
            assert "voxline models pull" in refusal(reply, 503), path


def test_embed(idle: Api) -> None:
    """C18: vectors whose angles mean something."""
    texts = ["The cat sleeps on the sofa.", "A kitten is napping on the couch.", "Interest rates rose again in May."]
    with idle.client(idle.person()) as client:
        told = client.post("/v1/embed", json={"texts": texts}).json()
    assert told["dimensions"] == 384 and [len(one) for one in told["embeddings"]] == [384] * 3
    cat, kitten, rates = told["embeddings"]
    assert math.hypot(*cat) == pytest.approx(1.0, abs=1e-3)
    assert sum(map(float.__mul__, cat, kitten)) > sum(map(float.__mul__, cat, rates)) + 0.1


def test_what_is_wrong_is_named(idle: Api) -> None:
    """C20, C21."""
    with idle.client(idle.person()) as client:
        for path, body, name in (
            ("/v1/summarize", {}, "text"),
            ("/v1/summarize", {"text": " "}, "text"),
            ("/v1/summarize", {"text": TALK, "style": "long"}, "style"),
            ("/v1/analyze", {"text": TALK}, "type"),
            ("/v1/generate", {"text": TALK, "type": "poem"}, "type"),
            ("/v1/translate", {"text": "a"}, "target"),
            ("/v1/translate", {"target": "es"}, "text"),
            ("/v1/translate", {"text": "a", "texts": ["b"], "target": "es"}, "text"),
            ("/v1/embed", {"texts": "a"}, "texts"),
            ("/v1/embed", {"texts": []}, "texts"),
            ("/v1/embed", {"texts": [1]}, "texts[0]"),
        ):
            assert name in refusal(client.post(path, json=body), 400), path
        refusal(client.post("/v1/embed", content=b"{"), 400)
        refusal(client.post("/v1/embed", content=b" " * (5 << 20)), 413)


def test_nobody_needs_a_key_for_them(idle: Api, ann: Person) -> None:
    """C1; a key that is shown must be right."""
    with idle.client(address="127.0.7.1") as nobody:
        assert nobody.post("/v1/embed", json={"texts": ["a"]}).status_code == 200
        refusal(nobody.post("/v1/embed", json={"texts": ["a"]}, headers=ann.bearer), 401)  # of another server
