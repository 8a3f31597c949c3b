"""Write a trained state as a transformers directory and as a CTranslate2 one."""

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from ctranslate2.converters import TransformersConverter
from transformers import GenerationConfig, WhisperConfig, WhisperForConditionalGeneration

from tests.checkpoints.nano_whisper import model as shape
from tests.checkpoints.nano_whisper.batches import FRAME_CLASSES
from tests.checkpoints.nano_whisper.tokens import LANGUAGE_CODES, Tokens, build_tokens

#: What Whisper's feature extractor does: 80 mel bands, 10 ms hop, 30 s windows.
_PREPROCESSOR = {
    "chunk_length": 30, "dither": 0.0, "feature_extractor_type": "WhisperFeatureExtractor", "feature_size": 80,
    "hop_length": 160, "n_fft": 400, "n_samples": 480000, "nb_max_frames": 3000, "padding_side": "right",
    "padding_value": 0.0, "return_attention_mask": False, "sampling_rate": 16000,
}  # fmt: skip
_SUPPRESSED = ("startoftranscript", "translate", "transcribe", "startoflm", "startofprev", "nospeech")
_ALIGNMENT_HEADS = [[shape.DECODER_LAYERS - 1, shape.WORD_HEAD]]


def export(state: Path, output: Path) -> None:
    """Write ``output/transformers`` and ``output/model`` (CTranslate2, int8).

    The former is stored in float16 but says float32, to be computed in: halves give NaN in transformers' word times.
    """
    tokens = build_tokens()
    directory = output / "transformers"
    shutil.rmtree(directory, ignore_errors=True)
    _build(state, tokens).half().save_pretrained(directory)
    (directory / "model.safetensors").chmod(0o644)
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "dtype": "float32"}, indent=2, sort_keys=True) + "\n")
    write_beside(tokens, directory)
    convert(directory, output / "model")


def write_beside(tokens: Tokens, directory: Path) -> None:
    """What belongs to a transformers directory beside its weights."""
    _generation_config(tokens).save_pretrained(directory)
    _write_tokenizer(tokens, directory)
    _write(directory / "preprocessor_config.json", _PREPROCESSOR)


def convert(directory: Path, output: Path) -> None:
    """A transformers directory as one of CTranslate2's, int8."""
    copied = ["tokenizer.json", "preprocessor_config.json"]
    converter = TransformersConverter(str(directory), copy_files=copied, load_as_float16=False)
    converter.convert(str(output), quantization="int8", force=True)


def _build(state: Path, tokens: Tokens) -> WhisperForConditionalGeneration:
    weights: dict[str, torch.Tensor] = torch.load(state, weights_only=True)["model"]
    config = WhisperConfig(
        vocab_size=tokens.size, num_mel_bins=shape.MELS, d_model=shape.WIDTH,
        encoder_layers=shape.ENCODER_LAYERS, encoder_attention_heads=shape.HEADS, encoder_ffn_dim=shape.FEED_FORWARD,
        decoder_layers=shape.DECODER_LAYERS, decoder_attention_heads=shape.HEADS, decoder_ffn_dim=shape.FEED_FORWARD,
        max_source_positions=shape.SOURCE_POSITIONS, max_target_positions=shape.TARGET_POSITIONS,
        bos_token_id=tokens.end, eos_token_id=tokens.end, pad_token_id=tokens.end,
        decoder_start_token_id=tokens.special["startoftranscript"], suppress_tokens=None, begin_suppress_tokens=None,
    )  # fmt: skip
    model = WhisperForConditionalGeneration(config)
    trained = shape.NanoWhisper(tokens.size, FRAME_CLASSES)
    trained.load_state_dict(weights)
    training_only = ("frame_head.", "decoder.embed_text.", "decoder.time_map.")
    named = {f"model.{name}": weight for name, weight in weights.items() if not name.startswith(training_only)}
    named["model.decoder.embed_tokens.weight"] = trained.decoder.embeddings().detach()
    missing, unexpected = model.load_state_dict(named, strict=False)
    if unexpected or set(missing) - {"proj_out.weight"}:
        raise RuntimeError(f"the state does not fit: missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model.eval()


def _generation_config(tokens: Tokens) -> GenerationConfig:
    """End of text may come first, so that silence can give no text."""
    special = tokens.special
    return GenerationConfig(
        bos_token_id=tokens.end, eos_token_id=tokens.end, pad_token_id=tokens.end,
        decoder_start_token_id=special["startoftranscript"], max_length=shape.TARGET_POSITIONS, is_multilingual=True,
        lang_to_id={f"<|{code}|>": special[code] for code in LANGUAGE_CODES},
        task_to_id={task: special[task] for task in ("transcribe", "translate")},
        no_timestamps_token_id=special["notimestamps"], prev_sot_token_id=special["startofprev"],
        suppress_tokens=[special[name] for name in _SUPPRESSED], begin_suppress_tokens=[tokens.space],
        alignment_heads=_ALIGNMENT_HEADS, max_initial_timestamp_index=50, return_timestamps=False,
    )  # fmt: skip


def _write_tokenizer(tokens: Tokens, directory: Path) -> None:
    """The files transformers' slow and fast Whisper tokenizers and faster-whisper read."""
    tokens.tokenizer.save(str(directory / "tokenizer.json"), pretty=False)
    state: dict[str, Any] = json.loads(tokens.tokenizer.to_str())
    _write(directory / "vocab.json", state["model"]["vocab"])
    merges = "\n".join(" ".join(pair) for pair in state["model"]["merges"])
    (directory / "merges.txt").write_text(f"#version: 0.2\n{merges}\n", encoding="utf-8")
    end = "<|endoftext|>"
    names = [f"<|{name}|>" for name in tokens.special if "." not in name]
    special = dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), end)
    named: dict[str, object] = {**special, "additional_special_tokens": names}
    _write(directory / "special_tokens_map.json", named)
    plain = {"model_max_length": 1024, "clean_up_tokenization_spaces": False, "add_prefix_space": False}
    kind = {"tokenizer_class": "WhisperTokenizer", "processor_class": "WhisperProcessor"}
    _write(directory / "tokenizer_config.json", {**kind, **named, **plain, "return_attention_mask": False})


def _write(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
