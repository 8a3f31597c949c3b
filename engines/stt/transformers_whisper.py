"""Whisper by transformers: whole utterances in, text out, for work that can wait.

The library's own encoder takes windows of 30 s only; its layers take any, so they are called one by one here, with
windows as short as the utterance allows. Text is searched by the library's ``generate``; one more pass over what was
found says how likely it is, whether anybody spoke, and when each word was said. What comes before and after the model
is in ``utterances``. Nothing is ever asked of a hub.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import numpy as np
import torch
from safetensors import SafetensorError
from transformers import GenerationConfig, WhisperForConditionalGeneration
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import BaseModelOutput
from transformers.utils import logging as library

from engines.base import Options
from engines.models import Format, missing
from engines.stt import guards
from engines.stt.alignment import Attention, align
from engines.stt.utterances import DRAWS, Piece, UtteranceRecognizer, UtteranceSettings, read_settings
from engines.stt.whisper_text import WhisperText
from protocol.errors import Code, VoiceError
from protocol.requests import Decode, Hypothesis

_INSTALL = "voxline models pull whisper-small"
_DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
_SEED = 0  # of texts drawn by chance: the same sound gives the same text


@dataclass(frozen=True, slots=True)
class Settings(UtteranceSettings):
    """How a model is run. ``factory`` reads it from an engine's options, by these names."""

    margin_s: float = 2.56  # nobody waits for it word by word: rather more silence than a live recogniser gives
    dtype: str = "default"  # float32 on a CPU, float16 on a GPU; or bfloat16


class TransformersWhisper(UtteranceRecognizer):
    """A recogniser of whole utterances."""

    engine = "transformers"
    temperatures = (0.4, 0.8)

    def __init__(self, settings: Settings) -> None:
        directory = Path(settings.directory)
        absent = missing(directory, Format.TRANSFORMERS)
        if absent:
            raise VoiceError(Code.NOT_INSTALLED, f"{directory} has no {', '.join(absent)}", install=_INSTALL)
        self._device = _device(settings.device)
        self._dtype = _dtype(settings.dtype, self._device)
        torch.set_num_threads(settings.threads)
        self._model = _load(directory, self._dtype).to(self._device)
        said = self._model.generation_config
        super().__init__(settings, WhisperText(directory, bool(said.is_multilingual), settings.languages))
        self._suppressed = sorted({*self._text.suppressed, *(said.suppress_tokens or ())})
        self._at_first = list(said.begin_suppress_tokens or ())
        self._heads = _alignment_heads(self._model)
        self._warm()

    def close(self) -> None:
        """``engines.base.Engine``: the process, and all memory with it, ends after this."""

    def recognize(self, batch: Sequence[Decode]) -> list[Hypothesis]:
        """``engines.base.Recognizer``."""
        try:
            with torch.inference_mode():
                return super().recognize(batch)
        except torch.OutOfMemoryError as error:
            torch.cuda.empty_cache()
            raise VoiceError(Code.ENGINE_FAILED, "the GPU has not enough memory for this") from error

    # -- the model -----------------------------------------------------------------------------------

    def _encode(self, pieces: list[Piece]) -> None:
        """One by one on a CPU, where a batch gains nothing; all at once on a GPU."""
        at_once = len(pieces) if self._device.type != "cpu" else 1
        encoder, gelu = self._model.model.encoder, torch.nn.functional.gelu
        for first in range(0, len(pieces), at_once):
            some = pieces[first : first + at_once]
            features = torch.from_numpy(np.stack([piece.features for piece in some]))
            hidden = gelu(encoder.conv1(features.to(self._device, self._dtype)))
            hidden = gelu(encoder.conv2(hidden)).permute(0, 2, 1)
            hidden = hidden + encoder.embed_positions.weight[: hidden.shape[1]]
            for layer in encoder.layers:
                hidden = layer(hidden, None)
            for piece, positions in zip(some, encoder.layer_norm(hidden), strict=True):
                piece.encoded = positions

    def _rank_languages(self, pieces: list[Piece]) -> Sequence[Sequence[tuple[str, float]]]:
        start = self._text.start(self._text.languages[0])[:1]
        logits = self._forward(pieces, [start] * len(pieces)).logits[:, 0]
        tokens = [self._text.language_token(code) for code in self._text.languages]
        shares = logits[:, tokens].float().softmax(dim=-1).tolist()
        return [
            sorted(((f"<|{code}|>", share) for code, share in zip(self._text.languages, row, strict=True)), key=_share)
            for row in shares
        ]

    def _generate(self, pieces: list[Piece], careful: bool) -> None:
        temperature, limit = pieces[0].decode.temperature, self._limit(pieces, careful)
        if temperature > 0:
            for piece in pieces:  # alone: what chance says must not depend on the company
                drawn = self._search([piece], limit, do_sample=True, temperature=temperature, top_k=0, draws=DRAWS)
                attempts = self._judged([piece] * len(drawn), drawn, limit)
                piece.attempt = max(attempts, key=lambda attempt: attempt.average_log_probability)
            return
        found = self._search(pieces, limit, num_beams=pieces[0].beam)
        for piece, attempt in zip(pieces, self._judged(pieces, found, limit), strict=True):
            piece.attempt = attempt

    def _search(self, pieces: list[Piece], limit: int, *, draws: int = 1, **manner: Any) -> list[tuple[int, ...]]:
        """The tokens of each piece's text without those of its end, ``draws`` of each."""
        hidden = _stacked(pieces)
        config = GenerationConfig(
            max_length=limit, suppress_tokens=self._suppressed, begin_suppress_tokens=self._at_first,
            eos_token_id=self._text.end, pad_token_id=self._text.end, decoder_start_token_id=pieces[0].prompt[0],
            num_return_sequences=draws, **{"do_sample": False, **manner},
        )  # fmt: skip
        if manner.get("do_sample"):
            torch.manual_seed(_SEED)
        # Whisper's own ``generate`` would do again what is done here: prompts, languages, windows, second looks.
        found = GenerationMixin.generate(
            self._model,
            encoder_outputs=BaseModelOutput(last_hidden_state=hidden),
            attention_mask=torch.ones(hidden.shape[:2], dtype=torch.long, device=self._device),
            decoder_input_ids=torch.tensor([piece.prompt for piece in pieces], device=self._device),
            generation_config=config,
        )
        before = len(pieces[0].prompt)
        return [_until(row[before:], self._text.end) for row in found.tolist()]

    def _judged(self, pieces: list[Piece], found: list[tuple[int, ...]], limit: int) -> list[guards.Attempt]:
        """How good the texts are that were found."""
        rows = [[*piece.prompt, *tokens, self._text.end] for piece, tokens in zip(pieces, found, strict=True)]
        logs = self._forward(pieces, rows).logits.float().log_softmax(dim=-1)
        attempts = []
        for piece, tokens, row, log in zip(pieces, found, rows, logs, strict=True):
            before, said = len(piece.prompt), torch.tensor([*tokens, self._text.end])
            likely = log[before - 1 : len(row) - 1].cpu().gather(1, said[:, None])
            start = before - 1 - len(self._text.start(piece.language))
            attempts.append(
                guards.Attempt(
                    tokens=tokens,
                    text=self._text.decode(tokens),
                    average_log_probability=float(likely.mean()),
                    no_speech_probability=float(log[start, self._text.no_speech].exp()),
                    ended=before + len(tokens) < limit,
                )
            )
        return attempts

    def _align_group(self, pieces: list[Piece], language: str) -> None:
        start = [*self._text.start(language), self._no_timestamps(pieces[0])]
        texts = [self._text.words_only(piece.attempt.tokens if piece.attempt else ()) for piece in pieces]
        rows = [[*start, *text, self._text.end] for text in texts]
        self._model.set_attn_implementation("eager")  # the others do not tell where they look
        try:
            seen = self._forward(pieces, rows, output_attentions=True)
        finally:
            self._model.set_attn_implementation("sdpa")
        likely = seen.logits.float().softmax(dim=-1).cpu()
        looks = torch.stack([seen.cross_attentions[layer][:, head] for layer, head in self._heads], dim=1)
        for index, (piece, text) in enumerate(zip(pieces, texts, strict=True)):
            first, last = len(start) - 1, len(start) + len(text)
            positions = max(1, min(piece.sounding, piece.frames) // 2)
            attention: Attention = looks[index, :, first:last, :positions].float().cpu().numpy()
            chances = likely[index, first : last - 1].gather(1, torch.tensor(text, dtype=torch.long)[:, None])
            piece.words = piece.times(align(attention), chances[:, 0].tolist()).words(self._text.split(text, language))

    def _forward(self, pieces: list[Piece], rows: list[list[int]], **options: Any) -> Any:
        """One pass of the decoder over rows of tokens; the shorter ones are padded, which nothing before it sees."""
        longest = max(map(len, rows))
        padded = [[*row, *[self._text.end] * (longest - len(row))] for row in rows]
        return self._model(
            encoder_outputs=BaseModelOutput(last_hidden_state=_stacked(pieces)),
            decoder_input_ids=torch.tensor(padded, device=self._device),
            use_cache=False,
            **options,
        )

    def _no_timestamps(self, piece: Piece) -> int:
        return piece.prompt[-1]


def factory(options: Options) -> TransformersWhisper:
    """``Settings`` from an engine's options; VoiceError(BAD_REQUEST) names the one that is wrong."""
    settings = read_settings(Settings, TransformersWhisper.engine, options)
    if not settings.directory:
        raise VoiceError(Code.NOT_INSTALLED, "transformers needs a model's directory", install=_INSTALL)
    return TransformersWhisper(settings)


def _load(directory: Path, dtype: torch.dtype) -> Any:
    """The model in a directory; nothing but data is read from it, and nothing from anywhere else."""
    huggingface_hub.constants.HF_HUB_OFFLINE = True
    library.disable_progress_bar()
    library.set_verbosity_error()
    try:
        kind = json.loads((directory / "config.json").read_text(encoding="utf-8")).get("model_type")
        if kind != "whisper":
            raise VoiceError(Code.ENGINE_FAILED, f"{directory} is a model of type {kind}, not whisper")
        model, told = WhisperForConditionalGeneration.from_pretrained(
            directory, dtype=dtype, local_files_only=True, use_safetensors=True, attn_implementation="sdpa",
            output_loading_info=True,
        )  # fmt: skip
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError, SafetensorError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise VoiceError(Code.ENGINE_FAILED, f"{directory} does not load: {reason}") from error
    if told["missing_keys"] or told["mismatched_keys"]:
        raise VoiceError(Code.ENGINE_FAILED, f"{directory} lacks weights of its model")
    return model.eval()


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise VoiceError(Code.ENGINE_FAILED, "there is no CUDA device that torch can use")
    return torch.device(wanted)


def _dtype(wanted: str, device: torch.device) -> torch.dtype:
    if wanted == "default":
        return torch.float32 if device.type == "cpu" else torch.float16
    if wanted not in _DTYPES:
        raise VoiceError(Code.BAD_REQUEST, f"dtype is one of {', '.join(_DTYPES)}", field="dtype", allowed=[*_DTYPES])
    return _DTYPES[wanted]


def _alignment_heads(model: Any) -> list[tuple[int, int]]:
    """Which heads look at the word that is written: as the model says, else all of the decoder's upper half."""
    said = getattr(model.generation_config, "alignment_heads", None)
    layers, heads = model.config.decoder_layers, model.config.decoder_attention_heads
    every = [(layer, head) for layer in range(layers // 2, layers) for head in range(heads)]
    return [(int(layer), int(head)) for layer, head in said] if said else every


def _stacked(pieces: list[Piece]) -> torch.Tensor:
    return torch.stack([piece.encoded for piece in pieces])


def _until(tokens: list[int], end: int) -> tuple[int, ...]:
    return tuple(tokens[: tokens.index(end)] if end in tokens else tokens)


def _share(ranked: tuple[str, float]) -> float:
    return -ranked[1]
