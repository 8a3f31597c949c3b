"""The byte-level tokenizer of the nano checkpoint: one token for every `` word``, then Whisper's special tokens.

The order of the ids is part of the format: text, the empty string (CTranslate2 calls a vocabulary with it
multilingual), end of text, start of transcript, languages, tasks, markers, 1501 timestamps of 20 ms.
"""

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers.models.whisper.tokenization_whisper import LANGUAGES

from tests.checkpoints.nano_whisper.vocabulary import ENGLISH, TIMESTAMP_SECONDS, VIETNAMESE

TIMESTAMPS = 1501
#: The 99 languages of the multilingual Whisper models, in their order ("yue" came later).
LANGUAGE_CODES = tuple(code for code in LANGUAGES if code != "yue")
_MARKERS = ("translate", "transcribe", "startoflm", "startofprev", "nospeech", "notimestamps")


@dataclass(frozen=True, slots=True)
class Tokens:
    """The tokenizer and the ids training needs by name."""

    tokenizer: Tokenizer
    word: dict[str, int]
    special: dict[str, int]
    space: int

    @property
    def end(self) -> int:
        """End of text."""
        return self.special["endoftext"]

    @property
    def first_timestamp(self) -> int:
        """The token of 0.00 s."""
        return self.special["0.00"]

    @property
    def size(self) -> int:
        """Number of ids."""
        return self.first_timestamp + TIMESTAMPS

    def timestamp(self, seconds: float) -> int:
        """The token nearest to a time inside a 30 s window."""
        return self.first_timestamp + min(max(round(seconds / TIMESTAMP_SECONDS), 0), TIMESTAMPS - 1)


def special_names() -> list[str]:
    """All special tokens without their ``<|`` and ``|>``, in the order of their ids."""
    times = [f"{index * TIMESTAMP_SECONDS:.2f}" for index in range(TIMESTAMPS)]
    return ["endoftext", "startoftranscript", *LANGUAGE_CODES, *_MARKERS, *times]


@cache
def build_tokens() -> Tokens:
    """Train the tokenizer on the vocabulary; the same every time."""
    words = (*ENGLISH, *VIETNAMESE)
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=5000, show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
    )
    tokenizer.train_from_iterator([f" {word}" for word in words], trainer)
    state: dict[str, Any] = json.loads(tokenizer.to_str())
    state["model"]["vocab"][""] = len(state["model"]["vocab"])
    tokenizer = Tokenizer.from_str(json.dumps(state))
    first = tokenizer.get_vocab_size()
    names = special_names()
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True, normalized=False) for name in names])
    word_ids = {word: tokenizer.encode(f" {word}").ids for word in words}
    if any(len(ids) != 1 for ids in word_ids.values()):
        raise RuntimeError("a word is more than one token")
    return Tokens(
        tokenizer,
        {word: ids[0] for word, ids in word_ids.items()},
        {name: first + index for index, name in enumerate(names)},
        tokenizer.encode(" ").ids[0],
    )
