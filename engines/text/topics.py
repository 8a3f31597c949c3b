"""What a text is about: the words and word pairs it comes back to, those nearest to its meaning first."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engines.text.minilm import MiniLM
from engines.text.tongues import STOPWORDS, words_of

_MOST = 10
_CANDIDATES = 60
_LOOKED_AT = 150  # sentences, evenly, that say what all of it is about
_LONGEST = {"en": 3, "vi": 4}  # words of a phrase; in Vietnamese syllables
_ALIKE = 0.8  # two phrases of about one meaning


@dataclass(frozen=True, slots=True)
class Topic:
    """A phrase, how often it occurs, and how much of the text is about it, 0 to 1."""

    text: str
    count: int
    score: float


def find_topics(sentences: Sequence[str], language: str, model: MiniLM) -> list[Topic]:
    """The best ones, best first."""
    counts = _phrases(sentences, language)
    if not counts:
        return []
    ranked = sorted(counts, key=lambda phrase: -_weight(phrase, counts[phrase]))[:_CANDIDATES]
    heaviest = _weight(ranked[0], counts[ranked[0]])
    weights = np.asarray([_weight(phrase, counts[phrase]) / heaviest for phrase in ranked], np.float32)
    if language == "en":  # what the model was trained on; elsewhere its vectors would only be noise
        vectors = model.embed(ranked)
        centre = model.embed(sentences[:: max(1, len(sentences) // _LOOKED_AT)]).mean(axis=0)
        near = vectors @ (centre / max(float(np.linalg.norm(centre)), 1e-6))
        scores = 0.6 * weights + 0.4 * np.clip(near, 0.0, 1.0)
    else:
        vectors, scores = None, weights
    chosen: list[int] = []
    for number in np.argsort(-scores).tolist():
        again = any(_same(ranked[number], ranked[other]) for other in chosen)
        if vectors is not None and not again:
            again = any(float(vectors[number] @ vectors[other]) > _ALIKE for other in chosen)
        if not again:
            chosen.append(number)
        if len(chosen) == _MOST:
            break
    return [Topic(ranked[at], counts[ranked[at]], round(float(min(scores[at], 1.0)), 3)) for at in chosen]


def _phrases(sentences: Sequence[str], language: str) -> Counter[str]:
    """Runs of words that are not the language's most frequent ones, by how often they occur."""
    stop, longest = STOPWORDS[language], _LONGEST[language]
    counts: Counter[str] = Counter()
    for sentence in sentences:
        run: list[str] = []
        for word in [*words_of(sentence), ""]:
            if word and word not in stop and len(word) > (1 if language == "vi" else 2):
                run.append(word)
                continue
            for length in range(1, min(longest, len(run)) + 1):
                for at in range(len(run) - length + 1):
                    counts[" ".join(run[at : at + length])] += 1
            run = []
    most = max(counts.values(), default=0)
    several = {phrase: count for phrase, count in counts.items() if count > 1}
    return Counter(several if len(several) >= _MOST // 2 and most > 1 else counts)


def _weight(phrase: str, count: int) -> float:
    words = phrase.split()
    return math.log1p(count) * (1.0 + 0.35 * (len(words) - 1)) * (0.6 if len(words) == 1 and len(phrase) < 5 else 1.0)


def _same(one: str, other: str) -> bool:
    """One holds the other, or they differ by an ending."""
    shorter, longer = sorted((one, other), key=len)
    return shorter in longer or shorter.rstrip("s") == longer.rstrip("s")
