"""How a text feels, by the words in it: VADER's lexicon and rules, for English."""

from collections.abc import Sequence

from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

MODEL = "vader"
_MOST = 200  # sentences that are listed
_MARK = 0.05  # VADER's own bound between neutral and the others


class Sentiment:
    """Judges English sentences."""

    def __init__(self) -> None:
        self._analyzer = SentimentIntensityAnalyzer()

    def judge(self, sentences: Sequence[str]) -> dict[str, object]:
        """The ``sentiment`` and ``score`` (-1 to 1) of all, and of each of the first of them."""
        scores = [float(self._analyzer.polarity_scores(sentence)["compound"]) for sentence in sentences]
        weights = [len(sentence) for sentence in sentences]
        total = sum(score * weight for score, weight in zip(scores, weights, strict=True)) / max(sum(weights), 1)
        marked = [score for score in scores if abs(score) >= _MARK]
        return {
            **_judged(total),
            "positive": _share(sum(score >= _MARK for score in scores), len(scores)),
            "negative": _share(sum(score <= -_MARK for score in scores), len(scores)),
            "neutral": _share(len(scores) - len(marked), len(scores)),
            "sentences": [
                {"text": sentence, **_judged(score)}
                for sentence, score in zip(sentences[:_MOST], scores[:_MOST], strict=True)
            ],
        }


def _judged(score: float) -> dict[str, object]:
    word = "positive" if score >= _MARK else "negative" if score <= -_MARK else "neutral"
    return {"sentiment": word, "score": round(score, 3)}


def _share(count: int, total: int) -> float:
    return round(count / max(total, 1), 3)
