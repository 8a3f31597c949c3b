"""Small models for tests, made here: their library's own code, weights trained for seconds on what they are to say."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GenerationConfig,
    M2M100Config,
    M2M100ForConditionalGeneration,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
)

TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}<|end|>{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
ROLES = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]
_RATE = 3e-3


def byte_tokenizer(special: Sequence[str], **more: Any) -> PreTrainedTokenizerFast:
    """A tokenizer that knows every byte and these words."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {word: number for number, word in enumerate(["<pad>", "</s>", *special, *letters])}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", **more)
    made.add_special_tokens({"additional_special_tokens": list(special)})
    return made


def language_model(directory: Path, lines: Sequence[tuple[str, str]], *, steps: int = 120, context: int = 512) -> Path:
    """A model that has learnt by heart what the assistant says to the user's lines."""
    torch.manual_seed(7)
    tokenizer = byte_tokenizer(ROLES)
    tokenizer.chat_template = TEMPLATE
    end = tokenizer.convert_tokens_to_ids("<|end|>")
    config = Qwen2Config(
        vocab_size=len(tokenizer), hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=context, bos_token_id=None, eos_token_id=end, pad_token_id=0,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    rows = [
        tokenizer(f"<|user|>{asked}<|end|><|assistant|>{said}<|end|>", add_special_tokens=False)["input_ids"]
        for asked, said in lines
    ]
    width = max(map(len, rows), default=1)
    ids = torch.tensor([[*row, *[0] * (width - len(row))] for row in rows])
    labels = torch.tensor([[*row, *[-100] * (width - len(row))] for row in rows])
    mask = (labels >= 0).long()
    _fit(model, steps if rows else 0, lambda: model(input_ids=ids, attention_mask=mask, labels=labels).loss)
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=0)
    return _save(directory, model, tokenizer)


def madlad(directory: Path, pairs: Sequence[tuple[str, str, str]], *, steps: int = 0) -> Path:
    """A T5 that is told the language as MADLAD-400 is; ``pairs`` are languages, texts and their translations."""
    torch.manual_seed(7)
    tokenizer = byte_tokenizer(["<2es>", "<2fr>", "<2vi>", "<2zh_Hant>"])
    config = T5Config(
        vocab_size=len(tokenizer), d_model=64, d_kv=16, d_ff=128, num_layers=2, num_heads=4, pad_token_id=0,
        eos_token_id=1, decoder_start_token_id=0,
    )  # fmt: skip
    model = T5ForConditionalGeneration(config)
    if pairs:
        padded: dict[str, Any] = {"padding": True, "return_tensors": "pt", "add_special_tokens": False}
        asked = tokenizer([f"<2{language}>{text}</s>" for language, text, _ in pairs], **padded)
        said = tokenizer([f"{text}</s>" for *_, text in pairs], **padded)
        labels = said["input_ids"].masked_fill(said["attention_mask"] == 0, -100)
        given = {"input_ids": asked["input_ids"], "attention_mask": asked["attention_mask"], "labels": labels}
        _fit(model, steps, lambda: model(**given).loss)
    return _save(directory, model, tokenizer)


def many_to_many(directory: Path, languages: Sequence[str]) -> Path:
    """An M2M-100 of chance that is told languages by these tokens."""
    torch.manual_seed(7)
    tokenizer = byte_tokenizer(languages)
    config = M2M100Config(
        vocab_size=len(tokenizer), d_model=32, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, max_position_embeddings=600, pad_token_id=0,
        bos_token_id=1, eos_token_id=1, decoder_start_token_id=1,
    )  # fmt: skip
    return _save(directory, M2M100ForConditionalGeneration(config), tokenizer)


def _fit(model: Any, steps: int, loss: Any) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # several that wait for each other take a hundred times as long on a busy machine
    optimizer = torch.optim.AdamW(model.parameters(), lr=_RATE)
    model.train()
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    model.eval()
    torch.set_num_threads(threads)


def _save(directory: Path, model: Any, tokenizer: PreTrainedTokenizerFast) -> Path:
    model.save_pretrained(directory, safe_serialization=True)
    tokenizer.save_pretrained(directory)
    return directory
