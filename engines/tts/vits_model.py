"""One VITS checkpoint, loaded: symbols to how long each lasts, and to sound, window by window.

transformers makes a clause's sound in one piece. Most of that work is the vocoder, which is made of convolutions and so
needs only a little of what lies around a window: here it is kept out of the model's ``forward`` and given one window
at a time with that much on both sides. The sound is the same, but it starts early and can be stopped.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from transformers import VitsModel
from transformers.utils import logging as transformers_logging

from engines.tts.loudness import Sound, gain_for
from protocol.errors import Code, VoiceError

_WINDOWS = (24, 48, 96)  # frames of the first window, the second, all later ones; a frame of MMS-TTS is 16 ms
_LONGEST = 60  # frames of a symbol: what only a broken model exceeds, and memory would not hold
_FOR_TRAINING = "posterior_encoder."  # the part of a checkpoint that speaking does without


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is to be said: the sample at which each symbol begins, how many there are, and the sound in pieces."""

    starts: tuple[int, ...]
    samples: int
    sound: Iterator[Sound]


class VitsVoices:
    """The voices of one checkpoint. Not for several threads: rate and chance are the model's own state."""

    def __init__(self, directory: Path, device: str) -> None:
        self._model = _loaded(directory, device)
        config = self._model.config
        self.rate = int(config.sampling_rate)
        self.speakers = int(config.num_speakers)
        self._hop = math.prod(config.upsample_rates)
        self._margin = _margin(config)
        self._pace = float(config.speaking_rate)
        self._device = device
        self._gains: dict[int, float] = {}
        # A module's parts cannot be replaced by functions while they are registered as parts.
        self._vocoder, self._predictor = self._model.decoder, self._model.duration_predictor
        del self._model.decoder, self._model.duration_predictor
        self._model.decoder = lambda frames, who: frames[:, :1, :1]
        self._model.duration_predictor = self._durations
        self._frames = torch.zeros(0)

    def tune(self, symbols: tuple[int, ...], speaker: int) -> None:
        """Find how loud a speaker is by having the symbols said; what is said later gets the loudness of all voices."""
        if speaker not in self._gains:
            self._gains[speaker] = 1.0
            pieces = list(self.say(symbols, speaker, 1.0, 0).sound)
            self._gains[speaker] = gain_for(np.concatenate(pieces), self.rate)

    def gain(self, speaker: int) -> float:
        """How much louder the speaker is to be made."""
        return self._gains.get(speaker, 1.0)

    def say(self, symbols: tuple[int, ...], speaker: int, speed: float, seed: int) -> Utterance:
        """Everything but the sound is made now. The same seed gives the same sound."""
        torch.manual_seed(seed)
        ids = torch.tensor([symbols], device=self._device)
        who = speaker if self.speakers > 1 else None
        with torch.inference_mode():
            made = self._model(ids, speaker_id=who, speaking_rate=self._pace * speed)
            conditioning = None
            if self.speakers > 1:
                conditioning = self._model.embed_speaker(torch.tensor([speaker], device=self._device)).unsqueeze(-1)
        frames = torch.ceil(torch.exp(self._frames.flatten()) / (self._pace * speed)).long()
        ends = torch.cumsum(frames, 0)
        starts = tuple(int(start) * self._hop for start in (ends - frames).tolist())
        count = int(made.spectrogram.shape[-1])
        return Utterance(starts, count * self._hop, self._sound(made.spectrogram, count, conditioning))

    def _sound(self, spectrogram: torch.Tensor, count: int, conditioning: torch.Tensor | None) -> Iterator[Sound]:
        begin, number = 0, 0
        while begin < count:
            end = min(count, begin + _WINDOWS[min(number, len(_WINDOWS) - 1)])
            if count - end < _WINDOWS[0]:
                end = count
            first = max(0, begin - self._margin)
            with torch.inference_mode():
                sound = self._vocoder(spectrogram[..., first : end + self._margin], conditioning)
            start = (begin - first) * self._hop
            piece = sound[0, 0, start : start + (end - begin) * self._hop].float().cpu().numpy()
            if not np.isfinite(piece).all():
                raise VoiceError(Code.ENGINE_FAILED, "the model made a sound that is none")
            yield piece.astype(np.float32)
            begin, number = end, number + 1

    def _durations(self, *args: object, **kwargs: object) -> torch.Tensor:
        """In the model: how long each symbol lasts (the logarithm, in frames), which is also kept."""
        found = self._predictor(*args, **kwargs)
        self._frames = torch.nan_to_num(found, nan=0.0).clamp(max=math.log(_LONGEST))
        return self._frames


def _loaded(directory: Path, device: str) -> VitsModel:
    """The model of a local directory, whole: a weight that is missing would be noise in place of a voice."""
    transformers_logging.disable_progress_bar()
    try:
        model, report = VitsModel.from_pretrained(
            str(directory), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except Exception as error:
        what = f"the checkpoint {directory.name} cannot be loaded ({type(error).__name__})"
        raise VoiceError(Code.ENGINE_FAILED, what) from error
    absent = [name for name in report["missing_keys"] if not name.startswith(_FOR_TRAINING)]
    if absent or report["mismatched_keys"]:
        raise VoiceError(Code.ENGINE_FAILED, f"the checkpoint {directory.name} is not whole")
    return model.float().eval().to(device)


def _margin(config: object) -> int:
    """Frames on either side of a window that the vocoder's answer depends on."""
    kernels, dilations = getattr(config, "resblock_kernel_sizes"), getattr(config, "resblock_dilation_sizes")  # noqa: B009
    block = max(
        sum((kernel - 1) * dilation // 2 + (kernel - 1) // 2 for dilation in row)
        for kernel, row in zip(kernels, dilations, strict=True)
    )
    reach = 3  # the last convolution's
    stages = zip(getattr(config, "upsample_rates"), getattr(config, "upsample_kernel_sizes"), strict=True)  # noqa: B009
    for rate, kernel in reversed(list(stages)):
        reach = math.ceil((reach + block + kernel) / rate) + 1
    return reach + 3  # and the first one's
