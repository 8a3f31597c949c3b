"""Summaries made of a text's own sentences: those nearest to what all of it is about, none saying what another does."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from engines.text.minilm import MiniLM, Vectors
from engines.text.sentences import without_time
from engines.text.tongues import words_of

_SHORTEST = 4  # words: "Yes, exactly." sums nothing up
_WORDS = 30  # what is longer than this is worth a little less in a summary
_EMBEDDED = 300  # sentences of a text that are compared, and
_CHARACTERS = 240  # of each: some seconds' work
_WORD_LETTERS = 3  # shorter words say little in any language
_NEWS = 0.45  # how much a sentence loses for being like one that is chosen


class Extracts:
    """Picks sentences."""

    def __init__(self, model: MiniLM) -> None:
        self._model = model

    def best(self, sentences: Sequence[str], count: int, *, beginning: float = 0.15) -> list[int]:
        """The places of the ``count`` that say most, in their order; ``beginning`` is what coming early is worth."""
        fit = [at for at, sentence in enumerate(sentences) if len(sentence.split()) >= _SHORTEST or _is_wide(sentence)]
        fit = _foremost(sentences, fit or list(range(len(sentences))))
        vectors = self._model.embed([_looked_at(sentences[at]) for at in fit])
        scores = _central(vectors)
        for row, at in enumerate(fit):
            scores[row] += beginning * (1.0 - at / max(len(sentences), 1))
            scores[row] -= 0.004 * max(0, len(sentences[at].split()) - _WORDS)
            scores[row] -= 0.2 * sentences[at].endswith("?")
        return sorted(fit[row] for row in _choose(vectors, scores, count))

    def quotes(self, sentences: Sequence[str], count: int) -> list[int]:
        """The places of sentences that stand by themselves, the best ones first."""
        chosen = self.best(sentences, count * 2, beginning=0.0)
        length = {at: len(sentences[at].split()) for at in chosen}
        return sorted(chosen, key=lambda at: abs(length[at] - 16))[:count]

    def chapters(self, sentences: Sequence[str], most: int) -> list[int]:
        """The places where the subject changes, the first one first."""
        step = -(-len(sentences) // _EMBEDDED)  # sentences in a block: of a long text one vector for several
        said = [" ".join(map(_looked_at, sentences[at : at + step])) for at in range(0, len(sentences), step)]
        blocks = [block[:_CHARACTERS] for block in said]
        return [start * step for start in self._turns(blocks, most)]

    def _turns(self, blocks: Sequence[str], most: int) -> list[int]:
        """Where what is said before and after differs most."""
        width = 4
        if len(blocks) < 3 * width:
            return [0]
        vectors = self._model.embed(blocks)
        depth = np.zeros(len(blocks), np.float32)
        for at in range(width, len(blocks) - width + 1):
            left, right = vectors[at - width : at].sum(axis=0), vectors[at : at + width].sum(axis=0)
            depth[at] = 1.0 - float(left @ right) / max(float(np.linalg.norm(left) * np.linalg.norm(right)), 1e-6)
        inside = depth[width : len(blocks) - width + 1]
        bound = float(inside.mean() + 0.5 * inside.std())
        starts = [0]
        for at in np.argsort(-depth).tolist():
            if len(starts) == most or depth[at] < bound:
                break
            if all(abs(at - start) >= width for start in starts):
                starts.append(at)
        return sorted(starts)


def _looked_at(sentence: str) -> str:
    return without_time(sentence)[:_CHARACTERS]


def _foremost(sentences: Sequence[str], fit: list[int]) -> list[int]:
    """Of a long text the sentences of its most frequent words: vectors take time."""
    if len(fit) <= _EMBEDDED:
        return fit
    words = {at: [word for word in words_of(sentences[at]) if len(word) > _WORD_LETTERS] for at in fit}
    counts = Counter(word for each in words.values() for word in each)
    weights = {at: sum(map(counts.__getitem__, set(words[at]))) / (len(words[at]) + 3) for at in fit}
    return sorted(sorted(fit, key=lambda at: -weights[at])[:_EMBEDDED])


def _central(vectors: Vectors) -> Vectors:
    centre = vectors.mean(axis=0)
    scores: Vectors = (vectors @ (centre / max(float(np.linalg.norm(centre)), 1e-6))).astype(np.float32)
    return scores


def _choose(vectors: Vectors, scores: Vectors, count: int) -> list[int]:
    """The best by score, each judged anew by what the chosen ones say already (maximal marginal relevance)."""
    chosen: list[int] = []
    said = np.zeros(len(scores), np.float32)
    while len(chosen) < min(count, len(scores)):
        worth = scores - _NEWS * said
        worth[chosen] = -np.inf
        best = int(np.argmax(worth))
        chosen.append(best)
        said = np.maximum(said, vectors @ vectors[best])
    return chosen


def _is_wide(sentence: str) -> bool:
    """Of a script that is written without spaces."""
    return " " not in sentence and len(sentence) >= 2 * _SHORTEST and not sentence.isascii()
