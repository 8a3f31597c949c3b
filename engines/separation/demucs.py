"""Voices and instruments apart with Demucs' hybrid transformer (HTDemucs): its own code, weights from a directory.

The model works on segments as long as those it was trained on. They overlap by a quarter and are faded into each other
with triangles, as in Demucs itself; the last one is moved back to end with the sound, rather than to hold silence.
Voices are what the model says they are, and the instrumental is what is left of the mix (Demucs' "minus"): nothing is
lost, whatever the model missed, and a model of a low rate takes nothing from what lies above it.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr
import torch
from demucs.hf import load_safetensors_model
from demucs.htdemucs import HTDemucs
from demucs.states import load_model

from engines.base import Capabilities, Options, Task
from engines.separation import checkpoints
from engines.separation.checkpoints import Checkpoint
from protocol.errors import Code, VoiceError

VOCALS, INSTRUMENTAL, OTHER = "vocals", "instrumental", "other"
OVERLAP = 0.25  # of a segment
_STRETCH_S = 6.0  # at least this long is a stretch of a model with shorter segments
_GPU_BATCH = 4  # segments at a time
_FULL_SCALE = np.float32(32768.0)

Sound = npt.NDArray[np.float32]  # samples x channels


class OutOfMemory(VoiceError, MemoryError):
    """There is not the memory for a segment. Being a MemoryError it ends the process; the next one starts afresh."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is run. ``factory`` reads it from an engine's options, by these names."""

    directory: str
    model: str = ""  # its name in answers; the checkpoint's when empty
    device: str = "cpu"  # cpu, cuda or auto
    threads: int = 1


class Demucs:
    """A separator of two stems (``separate``), or of all the model knows (``take_apart``)."""

    def __init__(self, models: Sequence[HTDemucs], checkpoint: Checkpoint, settings: Settings) -> None:
        first = models[0]
        self.stems: tuple[str, ...] = tuple(first.sources)
        self.rate = int(first.samplerate)
        self._name = settings.model or checkpoint.name
        self._device = torch.device(_device(settings.device))
        self._channels = int(first.audio_channels)
        self._segment = min(int(model.segment * model.samplerate) for model in models)
        self.models = [model.eval().to(self._device) for model in models]
        weights = np.asarray(checkpoint.weights or np.ones((len(models), len(self.stems))), np.float32)
        self._weights = weights / weights.sum(axis=0)

    def describe(self) -> Capabilities:
        """What a person should know of the model, its size above all: that is what its quality and speed come with."""
        count = sum(parameter.numel() for model in self.models for parameter in model.parameters())
        return Capabilities(
            engine="demucs",
            task=Task.SEPARATE,
            model=self._name,
            rate=self.rate,
            stems=self.stems,
            stretch_s=self._stretch() / self.rate,
            note=f"HTDemucs of {count / 1e6:.1f} million parameters at {self.rate} Hz on {self._device.type}",
        )

    def close(self) -> None:
        """Nothing is held that the process does not free."""

    def separate(self, pcm: bytes, rate: int, channels: int) -> Mapping[str, bytes]:
        """``engines.base.Separator``."""
        mix = _samples(pcm, channels)
        vocals = _whole(self._apart(mix, rate, (VOCALS,))[0])
        return {VOCALS: vocals.tobytes(), INSTRUMENTAL: _rest(mix, vocals.astype(np.int32)).tobytes()}

    def take_apart(self, pcm: bytes, rate: int, channels: int) -> Mapping[str, bytes]:
        """``engines.base.StemSeparator``; what no stem has goes to the one that is for the rest."""
        mix = _samples(pcm, channels)
        named = [stem for stem in self.stems if stem != OTHER]
        parts = dict(zip(named, map(_whole, self._apart(mix, rate, named)), strict=True))
        total = np.sum([part.astype(np.int32) for part in parts.values()], axis=0)
        parts[OTHER] = _rest(mix, total)
        return {stem: part.tobytes() for stem, part in parts.items()}

    def _apart(self, mix: npt.NDArray[np.int16], rate: int, stems: Sequence[str]) -> list[Sound]:
        """These stems of a mix, as long as it and at its rate."""
        if not mix.any():
            return [np.zeros(mix.shape, np.float32) for _ in stems]
        sound = mix.astype(np.float32) / _FULL_SCALE
        if rate != self.rate:
            sound = soxr.resample(sound, rate, self.rate, quality="HQ")
        wide = np.repeat(sound, self._channels, axis=1) if sound.shape[1] == 1 else sound
        try:
            parts = self._joined(np.ascontiguousarray(wide.T), [self.stems.index(stem) for stem in stems])
        except RuntimeError as error:  # torch has no type of its own for the CPU's memory
            if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
                raise OutOfMemory(Code.ENGINE_FAILED, "there is not the memory to separate this") from None
            raise
        return [self._fitted(part.T, rate, mix.shape) for part in parts]

    def _joined(self, sound: Sound, stems: Sequence[int]) -> Sound:
        """stems x channels x samples of a sound of channels x samples, segment by segment."""
        length = sound.shape[1]
        parts = np.zeros((len(stems), *sound.shape), np.float32)
        total = np.zeros(length, np.float32)
        fade = _triangle(self._segment)
        size = 1 if self._device.type == "cpu" else _GPU_BATCH
        starts = list(_starts(length, self._segment))
        for first in range(0, len(starts), size):
            some = starts[first : first + size]
            pieces = np.zeros((len(some), len(sound), self._segment), np.float32)
            for index, start in enumerate(some):
                piece = sound[:, start : start + self._segment]
                pieces[index, :, : piece.shape[1]] = piece
            for start, found in zip(some, self._asked(pieces, stems), strict=True):
                end = min(start + self._segment, length)
                parts[:, :, start:end] += found[:, :, : end - start] * fade[: end - start]
                total[start:end] += fade[: end - start]
        return np.asarray(parts / total, np.float32)

    def _asked(self, pieces: Sound, stems: Sequence[int]) -> Sound:
        """What the models say of some segments, each as far as it counts for these stems."""
        answer = np.zeros((len(pieces), len(stems), *pieces.shape[1:]), np.float32)
        with torch.inference_mode():
            heard = torch.from_numpy(pieces).to(self._device)
            for model, weights in zip(self.models, self._weights[:, stems], strict=True):
                if weights.any():
                    answer += model(heard)[:, list(stems)].cpu().numpy() * weights[:, None, None]
        return answer

    def _fitted(self, part: Sound, rate: int, shape: tuple[int, ...]) -> Sound:
        """A stem at the mix's rate, of its channels and exactly its length."""
        if shape[1] == 1:
            part = part.mean(axis=1, keepdims=True)
        if rate != self.rate:
            part = soxr.resample(np.ascontiguousarray(part), self.rate, rate, quality="HQ")
        fitted = np.zeros(shape, np.float32)
        fitted[: len(part)] = part[: shape[0]]
        return fitted

    def _stretch(self) -> int:
        """Samples worth giving at a time, so that no segment is computed for a part of it only."""
        stretch, stride = self._segment, _stride(self._segment)
        while stretch < _STRETCH_S * self.rate or (self._device.type != "cpu" and stretch < 3 * self._segment):
            stretch += stride
        return stretch


def factory(options: Options) -> Demucs:
    """Load a model; VoiceError names an option or a file that is wrong."""
    names = {field.name for field in fields(Settings)}
    for name in options:
        if name not in names:
            raise VoiceError(Code.BAD_REQUEST, f"the separator has no option {name}", field=name)
    settings = Settings(**options)  # type: ignore[arg-type]
    torch.set_num_threads(settings.threads)
    checkpoint = checkpoints.find(Path(settings.directory))
    models = [_loaded(path) for path in checkpoint.files]
    return Demucs(models, checkpoint, settings)


def _loaded(path: Path) -> HTDemucs:
    try:
        if path.suffix == ".safetensors":
            model = load_safetensors_model(path)
        else:
            package = torch.load(io.BytesIO(checkpoints.read_pickle(path)), "cpu", weights_only=False)
            model = load_model(package)
    except VoiceError:
        raise
    except Exception as error:  # json, safetensors, torch and the model's own assertions share no base class
        raise checkpoints.damaged(path, f"it does not load ({type(error).__name__})") from error
    if not isinstance(model, HTDemucs) or not {VOCALS, OTHER} <= set(model.sources):
        raise checkpoints.damaged(path, "it is not an HTDemucs that knows voices")
    if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        raise checkpoints.damaged(path, "it holds numbers that are none")
    return model


def _device(wanted: str) -> str:
    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise VoiceError(Code.NOT_INSTALLED, "no GPU that PyTorch can use was found", field="device")
    return wanted


def _stride(segment: int) -> int:
    return int((1 - OVERLAP) * segment)


def _starts(length: int, segment: int) -> Iterator[int]:
    """Where segments begin; the last one ends with the sound, unless all of it fits in one."""
    start = 0
    while start + segment < length:
        yield start
        start += _stride(segment)
    yield max(0, length - segment)


def _triangle(segment: int) -> Sound:
    """How much each sample of a segment counts where another one has it too: the middle most."""
    away = np.abs(np.arange(segment, dtype=np.float32) - np.float32((segment - 1) / 2))
    return np.asarray(1 - away / np.float32(segment / 2 + 1), np.float32)


def _samples(pcm: bytes, channels: int) -> npt.NDArray[np.int16]:
    if channels not in (1, 2) or len(pcm) % (2 * channels):
        raise VoiceError(Code.BAD_REQUEST, "sound is separated as whole samples of one or two channels")
    return np.frombuffer(pcm, "<i2").reshape(-1, channels)


def _whole(sound: Sound) -> npt.NDArray[np.int16]:
    return np.asarray(np.clip(np.rint(sound * _FULL_SCALE), -32768, 32767), "<i2")


def _rest(mix: npt.NDArray[np.int16], taken: npt.NDArray[np.int32]) -> npt.NDArray[np.int16]:
    return np.asarray(np.clip(mix - taken, -32768, 32767), "<i2")
