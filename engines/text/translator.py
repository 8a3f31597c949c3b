"""Translation by a sequence-to-sequence model of transformers: MADLAD-400, NLLB, M2M-100, Marian (opus-mt).

They differ in how they are told the languages, and say so in their vocabulary: "<2es>" (MADLAD) or ">>es<<" (Marian,
where it knows several) before the text, or a token of the source before the text and one of the target as the first of
the answer ("__es__" in M2M-100, "spa_Latn" in NLLB). A Marian model of one pair has no such tokens, its tokenizer names
the two.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import AutoModelForSeq2SeqLM

from engines.base import Capabilities, Options, Task
from engines.text.checkpoints import Settings, described, load, read_settings
from engines.text.nllb_codes import nllb_code
from engines.text_calls import Order, Outcome
from protocol.errors import Code, VoiceError

INSTALL = "voxline models pull madlad400-3b-mt"
_TOKENS = 480  # of one piece: what these models were trained on
_LISTED = 1_000


@dataclass(frozen=True, slots=True)
class Manner:
    """How a family of models writes a language: what its tokens look like, and where they stand."""

    token: re.Pattern[str]
    names_source: bool  # the source's before the text, the target's first in the answer; else the target's before it
    code: Callable[[str], str] = str


_MANNERS = (
    Manner(re.compile(r"<2([A-Za-z][\w-]+)>"), names_source=False),
    Manner(re.compile(r"__([a-z]{2,3})__"), names_source=True),
    Manner(re.compile(r"([a-z]{3}_[A-Z][a-z]{3})"), names_source=True, code=nllb_code),
    Manner(re.compile(r">>([A-Za-z][\w-]+)<<"), names_source=False),
)


class Translator:
    """The engine; its one order is "translate"."""

    def __init__(self, settings: Settings) -> None:
        self._name = settings.name
        self._tokenizer, self._model = load(settings, AutoModelForSeq2SeqLM, INSTALL)
        self._manner, self._tokens = _languages(self._tokenizer.get_vocab())
        self._pair = _pair(self._tokenizer) if self._manner is None else None

    def describe(self) -> Capabilities:
        """``engines.base.Engine``."""
        known = tuple(sorted(self._tokens))[:_LISTED] or (self._pair or ())
        note = f"{len(known)} languages, {described(self._model)}"
        return Capabilities("translator", Task.TRANSLATE, self._name, known, note=note)

    def close(self) -> None:
        """``engines.base.Engine``: the process, and all memory with it, ends after this."""

    def work(self, order: Order) -> Outcome:
        """``engines.base.TextEngine``: each text, which is to be a sentence or little more, in the target language."""
        source, target = str(order.facts["source"]), str(order.facts["target"])
        before, first = self._told(source, target)
        rows = [self._row(before, text) for text in order.texts]
        width = max(map(len, rows))
        pad = int(self._model.config.pad_token_id or 0)
        ids = torch.tensor([[*row, *[pad] * (width - len(row))] for row in rows], device=self._model.device)
        mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows], device=self._model.device)
        chosen: dict[str, Any] = {} if first is None else {"forced_bos_token_id": first}
        with torch.inference_mode():
            made = self._model.generate(
                ids,
                attention_mask=mask,
                max_new_tokens=min(_TOKENS, 2 * width + 32),
                do_sample=False,
                **chosen,
            )
        texts = self._tokenizer.batch_decode(made, skip_special_tokens=True)
        return Outcome({"texts": [text.strip() for text in texts]})

    def _told(self, source: str, target: str) -> tuple[list[int], int | None]:
        """The tokens before a text, and the first one of the answer, for this pair of languages."""
        if self._manner is None:
            self._check_pair(source, target)
            return [], None
        wanted = self._token(target, "target")
        if not self._manner.names_source:
            return [wanted], None
        return [self._token(source, "source")], wanted

    def _token(self, language: str, field: str) -> int:
        assert self._manner is not None
        for code in _spellings(language, self._manner.code):
            if code in self._tokens:
                return self._tokens[code]
        listed = sorted(self._tokens)
        shown = ", ".join(listed[:40]) + (" ..." if len(listed) > 40 else "")
        what = f"{field} must be a language that {self._name} knows: {shown}."
        raise VoiceError(Code.BAD_REQUEST, what, field=field)

    def _check_pair(self, source: str, target: str) -> None:
        if self._pair is None:
            return
        for field, given, known in (("source", source, self._pair[0]), ("target", target, self._pair[1])):
            if known not in _spellings(given, str):
                what = f"{field} must be {known}: {self._name} knows no other."
                raise VoiceError(Code.BAD_REQUEST, what, field=field)

    def _row(self, before: list[int], text: str) -> list[int]:
        tokens = self._tokenizer(text, add_special_tokens=False)["input_ids"][:_TOKENS]
        return [*before, *tokens, int(self._tokenizer.eos_token_id)]


def factory(options: Options) -> Translator:
    """The engine, loaded."""
    return Translator(read_settings(options))


def _languages(vocabulary: dict[str, int]) -> tuple[Manner | None, dict[str, int]]:
    """How the model is told languages, and the token of each."""
    for manner in _MANNERS:
        found = {match[1]: number for word, number in vocabulary.items() if (match := manner.token.fullmatch(word))}
        if len(found) > 1:
            return manner, found
    return None, {}


def _pair(tokenizer: Any) -> tuple[str, str] | None:
    """The two languages of a model that knows no others."""
    source, target = getattr(tokenizer, "source_lang", None), getattr(tokenizer, "target_lang", None)
    return (str(source), str(target)) if source and target else None


def _spellings(language: str, code: Callable[[str], str]) -> Sequence[str]:
    """A code as it was sent, as the family writes it, and without what follows the language."""
    short = re.split("[-_]", language)[0].lower()
    return [language, language.replace("-", "_"), language.replace("_", "-"), code(language), short, code(short)]
