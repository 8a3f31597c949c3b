"""Whisper on CTranslate2: whole utterances in, text out, several sessions' utterances at a time.

``faster_whisper.WhisperModel`` pads every utterance to 30 s; this calls the same model with windows as short as the
utterance allows (``features.Window``), and decodes utterances of one window length together. What comes before and
after the model is in ``utterances``.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import ctranslate2
import numpy as np

from engines.base import Options
from engines.models import missing
from engines.stt import guards
from engines.stt.utterances import DRAWS, Piece, UtteranceRecognizer, UtteranceSettings, read_settings
from engines.stt.whisper_text import WhisperText
from protocol.errors import Code, VoiceError

_INSTALL = "voxline models pull small"


@dataclass(frozen=True, slots=True)
class Settings(UtteranceSettings):
    """How a model is run. ``factory`` reads it from an engine's options, by these names."""

    compute_type: str = "default"  # int8 on a CPU, int8_float16 on a GPU


class FasterWhisper(UtteranceRecognizer):
    """A recogniser of whole utterances."""

    engine = "faster-whisper"

    def __init__(self, settings: Settings) -> None:
        directory = Path(settings.directory)
        absent = missing(directory)
        if absent:
            raise VoiceError(Code.NOT_INSTALLED, f"{directory} has no {', '.join(absent)}", install=_INSTALL)
        device = settings.device
        if device == "auto":
            device = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
        device, _, number = device.partition(":")
        compute = settings.compute_type
        if compute == "default":
            compute = "int8" if device == "cpu" else "int8_float16"
        try:
            self._model = ctranslate2.models.Whisper(
                settings.directory,
                device=device,
                device_index=int(number or 0),
                compute_type=compute,
                intra_threads=settings.threads,
            )
        except (RuntimeError, ValueError) as error:
            raise VoiceError(Code.ENGINE_FAILED, f"{settings.directory} does not load: {error}") from error
        self._on_gpu = device != "cpu"
        super().__init__(settings, WhisperText(directory, self._model.is_multilingual, settings.languages))
        self._warm()

    def close(self) -> None:
        """``engines.base.Engine``."""
        self._model.unload_model()

    def _encode(self, pieces: list[Piece]) -> None:
        """One call each on a CPU, where a batch gains nothing; all at once on a GPU."""
        at_once = len(pieces) if self._on_gpu else 1
        for first in range(0, len(pieces), at_once):
            some = pieces[first : first + at_once]
            view = ctranslate2.StorageView.from_array(np.stack([piece.features for piece in some]))
            for piece, positions in zip(some, np.array(self._model.encode(view, to_cpu=True)), strict=True):
                piece.encoded = positions

    def _rank_languages(self, pieces: list[Piece]) -> Sequence[Sequence[tuple[str, float]]]:
        ranked: Sequence[Sequence[tuple[str, float]]] = self._model.detect_language(_joined(pieces))
        return ranked

    def _generate(self, pieces: list[Piece], careful: bool) -> None:
        prompts = [piece.prompt for piece in pieces]
        limit = self._limit(pieces, careful)
        results = self._model.generate(
            _joined(pieces), prompts, max_length=limit, return_scores=True, return_no_speech_prob=True,
            suppress_tokens=self._text.suppressed, **_manner(pieces[0].beam, pieces[0].decode.temperature),
        )  # fmt: skip
        for piece, prompt, result in zip(pieces, prompts, results, strict=True):
            tokens = tuple(result.sequences_ids[0])
            piece.attempt = guards.Attempt(
                tokens=tokens,
                text=self._text.decode(tokens),
                average_log_probability=result.scores[0] * len(tokens) / (len(tokens) + 1),
                no_speech_probability=result.no_speech_prob,
                ended=len(prompt) + len(tokens) < limit,
            )

    def _align_group(self, pieces: list[Piece], language: str) -> None:
        tokens = [self._text.words_only(piece.attempt.tokens if piece.attempt else ()) for piece in pieces]
        frames = [piece.sounding for piece in pieces]
        results = self._model.align(_joined(pieces), self._text.start(language), tokens, frames)
        for piece, text, result in zip(pieces, tokens, results, strict=True):
            times = piece.times(result.alignments, result.text_token_probs)
            piece.words = times.words(self._text.split(text, language))


def factory(options: Options) -> FasterWhisper:
    """``Settings`` from an engine's options; VoiceError(BAD_REQUEST) names the one that is wrong."""
    settings = read_settings(Settings, FasterWhisper.engine, options)
    if not settings.directory:
        raise VoiceError(Code.NOT_INSTALLED, "faster-whisper needs a model's directory", install=_INSTALL)
    return FasterWhisper(settings)


def _manner(beam: int, temperature: float) -> dict[str, float]:
    """How CTranslate2 is to search: the best of a beam, or of some texts drawn by chance (``sampling_topk`` 0: from all
    words)."""
    if temperature > 0:
        return {"beam_size": 1, "num_hypotheses": DRAWS, "sampling_topk": 0, "sampling_temperature": temperature}
    return {"beam_size": beam}


def _joined(pieces: list[Piece]) -> ctranslate2.StorageView:
    """What the encoder made of the pieces, as one batch."""
    return ctranslate2.StorageView.from_array(np.stack([p.encoded for p in pieces if p.encoded is not None]))
