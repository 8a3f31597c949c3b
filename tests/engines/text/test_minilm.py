"""Vectors: those of all-MiniLM-L6-v2, of unit length, near where texts mean the same."""

import numpy as np
import pytest

from engines.text.minilm import DIMENSIONS, MiniLM


@pytest.fixture(scope="module")
def model() -> MiniLM:
    return MiniLM()


def test_vectors_are_those_of_the_original(model: MiniLM) -> None:
    """C18: the likenesses that the weights in float32 give (sentence-transformers/all-MiniLM-L6-v2), to two digits."""
    guitar, music, cat = model.embed(
        [
            "A man is playing a guitar on stage.",
            "Someone performs music in front of an audience.",
            "The cat sleeps on the sofa.",
        ]
    )
    assert float(guitar @ music) == pytest.approx(0.4946, abs=0.02)
    assert float(guitar @ cat) == pytest.approx(0.0443, abs=0.02)


def test_a_vector_does_not_depend_on_its_company(model: MiniLM) -> None:
    texts = ["Hello world", "How are you?", "x" * 9_000, "", "Xin chào các bạn", " ".join(["long"] * 700)]
    together, alone = model.embed(texts), MiniLM()
    assert together.shape == (len(texts), DIMENSIONS)
    assert np.allclose(np.linalg.norm(together, axis=1), 1.0, atol=1e-5)
    for text, vector in zip(texts, together, strict=True):
        assert float(alone.embed([text])[0] @ vector) > 0.98
    assert np.array_equal(model.embed(texts), together) and model.embed([]).shape == (0, DIMENSIONS)
