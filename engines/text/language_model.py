"""A causal language model by transformers: messages in, text out, some tokens a call.

A call says what was written before, so it needs no memory of the last one; the attention states of the text it left are
kept all the same, and used when the next call goes on from there.
"""

from collections.abc import Sequence
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, DynamicCache

from engines.base import Capabilities, Options, Task
from engines.frames import Head
from engines.text.checkpoints import Settings, described, load, read_settings
from engines.text_calls import Order, Outcome
from protocol.errors import Code, VoiceError

INSTALL = "voxline models pull qwen2.5-1.5b-instruct"
_CONTEXT = 16_384  # tokens: past this a CPU would read for many minutes
_NAMES = {"system": "Instructions", "user": "User", "assistant": "Assistant"}
_CUT = "\nUser:"  # where a model without a form of its own for conversations begins the other's turn
_NEAREST_ZERO = 0.01
_SEED = 0  # of words drawn by chance: the same request has the same answer

Messages = list[dict[str, str]]


class LanguageModel:
    """The engine; its one order is "write"."""

    def __init__(self, settings: Settings) -> None:
        self._name = settings.name
        self._tokenizer, self._model = load(settings, AutoModelForCausalLM, INSTALL)
        said = getattr(self._model.config, "max_position_embeddings", None)
        self.context = min(int(said or _CONTEXT), _CONTEXT)
        self._read: list[int] = []  # the tokens whose states are kept
        self._cache = DynamicCache()

    def describe(self) -> Capabilities:
        """``engines.base.Engine``."""
        note = f"{described(self._model)}, reads {self.context} tokens"
        return Capabilities("language-model", Task.WRITE, self._name, note=note)

    def close(self) -> None:
        """``engines.base.Engine``: the process, and all memory with it, ends after this."""

    def work(self, order: Order) -> Outcome:
        """``engines.base.TextEngine``."""
        facts = order.facts
        prompt = self._prompt(cast(Messages, facts["messages"]))
        before = cast(list[int], facts["so_far"])
        wanted = min(cast(int, facts["tokens"]), self.context - len(prompt) - len(before))
        if wanted < 1 and not before:
            raise VoiceError(
                Code.TEXT_TOO_LONG, f"the text takes more than the {self.context} tokens the language model reads"
            )
        new = self._go_on([*prompt, *before], wanted, cast(float, facts["temperature"])) if wanted > 0 else []
        ended = not new or new[-1] in self._ends()
        text = self._tokenizer.decode([*before, *new], skip_special_tokens=True)
        if not self._tokenizer.chat_template and _CUT in text:
            text, ended = text[: text.index(_CUT)], True
        return Outcome(_step(text, new, ended or wanted < 1))

    def _prompt(self, messages: Messages) -> list[int]:
        if self._tokenizer.chat_template:
            written = self._tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            return list(self._tokenizer(written, add_special_tokens=False)["input_ids"])
        written = "\n".join(f"{_NAMES[one['role']]}: {one['content']}" for one in messages)
        return list(self._tokenizer(f"{written}\nAssistant:")["input_ids"])

    def _go_on(self, tokens: list[int], most: int, temperature: float) -> list[int]:
        """The next tokens, at most so many."""
        kept = _common(self._read, tokens[:-1])
        if kept < len(self._read):
            self._cache = DynamicCache()
        torch.manual_seed(_SEED + len(tokens))
        manner: dict[str, Any] = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        if temperature > _NEAREST_ZERO:
            manner = {"do_sample": True, "temperature": temperature}
        given = torch.tensor([tokens], device=self._model.device)
        self._read = []  # should it fail half way, nothing is known of the states
        with torch.inference_mode():
            made = self._model.generate(
                given,
                attention_mask=torch.ones_like(given),
                past_key_values=self._cache,
                max_new_tokens=most,
                pad_token_id=self._pad(),
                **manner,
            )
        every = made[0].tolist()
        self._read = every[: self._cache.get_seq_length()]
        return list(every[len(tokens) :])

    def _ends(self) -> Sequence[int]:
        said = self._model.generation_config.eos_token_id
        return [said] if isinstance(said, int) else list(said or ())

    def _pad(self) -> int:
        return int(next((one for one in (self._tokenizer.pad_token_id, *self._ends()) if one is not None), 0))


def factory(options: Options) -> LanguageModel:
    """The engine, loaded."""
    return LanguageModel(read_settings(options))


def _common(one: list[int], other: list[int]) -> int:
    """How many tokens both begin with."""
    for at, (mine, theirs) in enumerate(zip(one, other, strict=False)):
        if mine != theirs:
            return at
    return min(len(one), len(other))


def _step(text: str, tokens: list[int], over: bool) -> Head:
    return {"text": text, "tokens": tokens, "over": over}
