"""Who speaks when within ten seconds: pyannote's segmentation 3.0, run with its published weights.

Band-pass filters on the raw sound, a recurrent network over what they let through, and for each moment one of seven
answers: nobody, one of three voices, or two of them at once (Plaquet and Bredin 2023). Only the weights are read.
"""

from collections.abc import Mapping
from itertools import combinations
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.diarization.shape import RATE, VOICES

_FILTERS = 80
_TAPS = 251
_STRIDE = 10
_LEAST_HZ = 50.0  # where the lowest band begins, and how wide the narrowest is
_HIDDEN = 128
_LAYERS = 4
#: Which voices each answer stands for: answers x voices.
_SETS = [chosen for size in range(3) for chosen in combinations(range(VOICES), size)]


class Segmentation:
    """The model; ``weights`` are its parameters by name."""

    def __init__(self, weights: Mapping[str, Tensor], device: torch.device) -> None:
        self._weights = {name: tensor.float().to(device) for name, tensor in weights.items()}
        self._filters = _filters(self._weights)
        self._memory = nn.LSTM(60, _HIDDEN, _LAYERS, batch_first=True, bidirectional=True)
        self._memory.load_state_dict(
            {name.removeprefix("lstm."): tensor for name, tensor in weights.items() if name.startswith("lstm.")}
        )
        self._memory = self._memory.to(device).eval()
        self._sets = torch.tensor([[float(voice in chosen) for voice in range(VOICES)] for chosen in _SETS]).to(device)

    def __call__(self, sound: Tensor) -> Tensor:
        """How likely each voice speaks at each moment, windows x moments x voices, of windows x samples in -1..1."""
        x = self._normed(sound[:, None], "sincnet.wav_norm1d")
        x = functional.conv1d(x, self._filters, stride=_STRIDE).abs()
        x = self._pooled(x, "sincnet.norm1d.0")
        for layer in (1, 2):
            x = functional.conv1d(x, *self._pair(f"sincnet.conv1d.{layer}"))
            x = self._pooled(x, f"sincnet.norm1d.{layer}")
        x, _ = self._memory(x.transpose(1, 2))
        for layer in (0, 1):
            x = functional.leaky_relu(functional.linear(x, *self._pair(f"linear.{layer}")))
        answers = functional.linear(x, *self._pair("classifier")).softmax(dim=-1)
        return answers @ self._sets

    def _pooled(self, x: Tensor, name: str) -> Tensor:
        return functional.leaky_relu(self._normed(functional.max_pool1d(x, 3), name))

    def _normed(self, x: Tensor, name: str) -> Tensor:
        weight, bias = self._pair(name)
        return functional.instance_norm(x, weight=weight, bias=bias)

    def _pair(self, name: str) -> tuple[Tensor, Tensor]:
        return self._weights[f"{name}.weight"], self._weights[f"{name}.bias"]


def load(path: Path, device: torch.device) -> Segmentation:
    """The model whose weights lie in a file, from which nothing but tensors and plain values is taken."""
    return Segmentation(torch.load(path, map_location="cpu", weights_only=True)["state_dict"], device)


def _filters(weights: Mapping[str, Tensor]) -> Tensor:
    """Pairs of band-passes, each a difference of two low-passes whose corners were learned (SincNet)."""
    low = _LEAST_HZ + weights["sincnet.conv1d.0.filterbank.low_hz_"].abs()
    high = (low + _LEAST_HZ + weights["sincnet.conv1d.0.filterbank.band_hz_"].abs()).clamp(_LEAST_HZ, RATE / 2)
    half = _TAPS // 2
    device = low.device
    time = 2 * torch.pi * torch.arange(-half, 0.0, device=device)[None] / RATE
    window = torch.hamming_window(_TAPS, periodic=False, device=device)[:half]
    band = high - low
    even = (torch.sin(high @ time) - torch.sin(low @ time)) / (time / 2) * window
    odd = (torch.cos(low @ time) - torch.cos(high @ time)) / (time / 2) * window
    cosines = torch.cat([even, 2 * band, even.flip(1)], dim=1)
    sines = torch.cat([odd, torch.zeros_like(band), -odd.flip(1)], dim=1)
    filters: Tensor = torch.cat([cosines, sines]) / (2 * band).repeat(2, 1)
    return filters[:, None]
