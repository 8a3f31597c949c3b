"""Whispers of the published sizes whose weights mean nothing: speed does not depend on what the values are.

What they say depends on nothing but how far they are: thirteen words, then the end, as somebody says in four seconds.
So a decode is as long as a real one, none of it is doubtful, and whoever runs the same model gets the same text.
They are made here in a minute, as int8 for CTranslate2, and kept: ``python -m loadtest.shapes tiny base small``.
"""

import itertools
import shutil
import string
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = Path(__file__).resolve().parent / "results" / "shapes"  # git does not look there
WORDS = 13
_PROMPT = 4  # start, language, task, no timestamps
_TEXT_TOKENS = 50_257
_POSITION = 60.0  # how loud the position is beside everything else in the decoder


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes of a published Whisper."""

    width: int
    layers: int  # of the encoder, and of the decoder
    heads: int


SHAPES = {"tiny": Shape(384, 4, 6), "base": Shape(512, 6, 8), "small": Shape(768, 12, 12)}


def whisper(name: str) -> Path:
    """The directory of a Whisper of that size; made if it is not there yet."""
    directory = KEPT / name
    if not (directory / "model.bin").is_file():
        KEPT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=KEPT, prefix=f".{name}-") as place:
            _make(SHAPES[name], Path(place))
            shutil.rmtree(directory, ignore_errors=True)
            (Path(place) / "model").rename(directory)
    return directory


def _make(shape: Shape, place: Path) -> None:
    from tests.checkpoints.nano_whisper import export
    from tests.checkpoints.nano_whisper.tokens import Tokens

    tokens: Tokens = _tokens()
    folder = place / "transformers"
    _model(shape, tokens.size, tokens.end).save_pretrained(folder)
    export.write_beside(tokens, folder)
    export.convert(folder, place / "model")


def _tokens() -> Any:
    """As many as Whisper has, in its order: bytes and words that are none, the special ones, times."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    from tests.checkpoints.nano_whisper.tokens import Tokens, special_names

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = ("\u0120" + "".join(word) for word in itertools.product(string.ascii_lowercase, repeat=4))
    names = [*letters, *itertools.islice(words, _TEXT_TOKENS - len(letters) - 1), ""]
    tokenizer = Tokenizer(models.BPE({name: number for number, name in enumerate(names)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = special_names()
    tokenizer.add_special_tokens([AddedToken(f"<|{name}|>", special=True, normalized=False) for name in special])
    numbers = {name: _TEXT_TOKENS + index for index, name in enumerate(special)}
    return Tokens(tokenizer, {}, numbers, tokenizer.encode(" ").ids[0])


def _model(shape: Shape, tokens: int, end: int) -> Any:
    import torch
    from transformers import WhisperConfig, WhisperForConditionalGeneration

    torch.manual_seed(0)
    config = WhisperConfig(
        vocab_size=tokens, num_mel_bins=80, d_model=shape.width,
        encoder_layers=shape.layers, encoder_attention_heads=shape.heads, encoder_ffn_dim=4 * shape.width,
        decoder_layers=shape.layers, decoder_attention_heads=shape.heads, decoder_ffn_dim=4 * shape.width,
        bos_token_id=end, eos_token_id=end, pad_token_id=end, decoder_start_token_id=end + 1,
        suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    decoder = model.model.decoder
    with torch.no_grad():
        places = decoder.embed_positions.weight
        directions = torch.randn(_PROMPT + WORDS, shape.width).sign() / shape.width**0.5
        first = 1000  # a word of four letters
        for place in range(len(places)):
            number = min(place, _PROMPT - 1 + WORDS)
            places[place] = _POSITION * directions[number]
            said = end if number == _PROMPT - 1 + WORDS else first + 500 * number
            decoder.embed_tokens.weight[said] = directions[number]
    model.tie_weights()
    return model.eval()


if __name__ == "__main__":
    for wanted in sys.argv[1:] or list(SHAPES):
        print(whisper(wanted))
