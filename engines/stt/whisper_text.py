"""Whisper's tokens: prompts in, text and words out."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tokenizers
from faster_whisper.tokenizer import Tokenizer

from engines.registry import WHISPER_LANGUAGES
from engines.stt.features import HOP, RATE
from protocol.errors import Code, VoiceError
from protocol.events import Word
from protocol.requests import Decode

# What comes before the text may fill half of the model's 448 positions, less the token that announces it.
_PROMPT_TOKENS = 448 // 2 - 1
_UNSPACED = frozenset({"zh", "ja", "th", "lo", "my", "yue"})
_POSITION_S = 2 * HOP / RATE  # one position of the encoder


class WhisperText:
    """The tokenizer of one model, for all its languages."""

    def __init__(self, directory: Path, multilingual: bool, languages: Sequence[str] = ()) -> None:
        try:
            vocabulary = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
        except Exception as error:  # the library has no class of its own
            raise VoiceError(Code.ENGINE_FAILED, f"{directory / 'tokenizer.json'} cannot be read") from error
        self.languages: tuple[str, ...] = ("en",)
        if multilingual:
            present = [code for code in WHISPER_LANGUAGES if vocabulary.token_to_id(f"<|{code}|>") is not None]
            self.languages = tuple(code for code in present if not languages or code in languages)
        self._tokenizers = {
            code: Tokenizer(vocabulary, multilingual, task="transcribe", language=code) for code in self.languages
        }
        self._any = self._tokenizers[self.languages[0]]
        specials = ("transcribe", "translate", "sot", "sot_prev", "sot_lm", "no_speech")
        ids = {getattr(self._any, name) for name in specials} | set(self._any.non_speech_tokens)
        self.end: int = self._any.eot
        self.no_speech: int = self._any.no_speech
        #: Tokens never to be generated: tasks, and symbols nobody speaks.
        self.suppressed: list[int] = sorted(token for token in ids if token is not None)

    def known(self, language: str) -> str:
        """The model's code for a language tag, or "" when it must find out by itself."""
        code = language.partition("-")[0].lower()
        return code if code in self._tokenizers else ""

    def likeliest(self, ranked: Sequence[tuple[str, float]]) -> tuple[str, float]:
        """The first of the ranked ``<|xx|>`` tokens that is a language of this model, and its share among those."""
        scores = {token[2:-2]: score for token, score in ranked if token[2:-2] in self._tokenizers}
        best = max(scores, key=lambda code: scores[code])
        return best, scores[best] / max(sum(scores.values()), 1e-9)

    def start(self, language: str) -> list[int]:
        """The tokens that say what to do."""
        return list(self._tokenizers[language].sot_sequence)

    def language_token(self, language: str) -> int:
        """The token that names a language of a model with several."""
        return self.start(language)[1]

    def prompt(self, decode: Decode, language: str) -> list[int]:
        """All tokens before the text: terms that may be said, what was said before, and the task."""
        tokenizer = self._tokenizers[language]
        before = tokenizer.encode(" " + ", ".join(decode.keyterms))[:_PROMPT_TOKENS] if decode.keyterms else []
        said = tokenizer.encode(" " + decode.prompt.strip()) if decode.prompt.strip() else []
        room = _PROMPT_TOKENS - len(before)
        before = [*before, *(said[-room:] if room else [])]
        return [*([tokenizer.sot_prev, *before] if before else []), *tokenizer.sot_sequence, tokenizer.no_timestamps]

    def decode(self, tokens: Sequence[int]) -> str:
        """Plain text; a character whose last bytes are missing is left out."""
        return str(self._any.decode(list(tokens))).strip().rstrip("\N{REPLACEMENT CHARACTER}").rstrip()

    def join(self, texts: Sequence[str], language: str) -> str:
        """Texts one after the other."""
        return ("" if language in _UNSPACED else " ").join(text for text in texts if text)

    def words_only(self, tokens: Sequence[int]) -> list[int]:
        """The tokens that are text."""
        return [token for token in tokens if token < self._any.eot]

    def split(self, tokens: Sequence[int], language: str) -> list[tuple[str, int]]:
        """Words and how many tokens each has; a mark of punctuation belongs to the word before it."""
        words, parts = self._tokenizers[language].split_to_word_tokens([*tokens, self._any.eot])
        joined: list[tuple[str, int]] = []
        for word, part in zip(words[:-1], parts[:-1], strict=True):
            if joined and not any(map(str.isalnum, word)):
                joined[-1] = (joined[-1][0] + word.strip(), joined[-1][1] + len(part))
            else:
                joined.append((word.strip(), len(part)))
        return joined


@dataclass(frozen=True, slots=True)
class WordTimes:
    """An alignment of text tokens with encoder positions, made into words with times."""

    path: Sequence[tuple[int, int]]  # (token, position), both rising
    probabilities: Sequence[float]  # of each token
    seconds: float  # how long the audio is
    offset: float  # what to add to every time

    def words(self, parts: Sequence[tuple[str, int]]) -> tuple[Word, ...]:
        """One Word for each (text, number of tokens); times rise and stay within the audio."""
        if not parts or not self.path:
            return ()
        path = np.array(self.path)
        turns = np.concatenate(([True], np.diff(path[:, 0]) > 0))
        begins = path[turns, 1] * _POSITION_S
        edges = np.concatenate(([0], np.cumsum([count for _, count in parts])))
        times = np.minimum(begins[np.minimum(edges, len(begins) - 1)], self.seconds)
        times = _spread(times, [len(text) for text, _ in parts], self.seconds)
        lengths = np.diff(times)
        longest = max(2 * float(np.median(lengths)), 0.4)
        words = []
        for index, (text, _) in enumerate(parts):
            start, end = float(times[index]), float(times[index + 1])
            if index == 0:
                start = max(start, end - longest)  # the silence before is no part of the first word
            share = self.probabilities[int(edges[index]) : int(edges[index + 1])]
            probability = float(np.mean(share)) if len(share) else 0.0
            words.append(Word(text, round(self.offset + start, 3), round(self.offset + end, 3), round(probability, 4)))
        return tuple(words)


def _spread(times: npt.NDArray[np.float64], letters: Sequence[int], seconds: float) -> npt.NDArray[np.float64]:
    """Give words that the alignment left without time a share of the next word's, or of the rest, by their letters."""
    spread = times.copy()
    first = 0
    while first < len(letters):
        last = first  # the word that ends where time goes on
        while last < len(letters) and times[last + 1] <= times[first]:
            last += 1
        count = min(last, len(letters) - 1) - first + 1
        if count > 1 or last == len(letters):
            end = times[last + 1] if last < len(letters) else seconds
            shares = np.cumsum(letters[first : first + count]) / sum(letters[first : first + count])
            spread[first + 1 : first + count + 1] = times[first] + (end - times[first]) * shares
        first += count
    return spread
