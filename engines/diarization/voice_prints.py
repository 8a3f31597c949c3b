"""How a voice sounds, in 192 numbers: CAM++, trained on 200,000 speakers (Wang and others 2023), with its weights.

Voices that sound alike have prints that point the same way. Written for the published weights of 3D-Speaker, and for
nothing but answering: normalisations are folded into a factor and a summand.
"""

from collections.abc import Mapping
from math import log
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from engines.diarization.shape import RATE

HOP = 160  # samples from one row of features to the next
ROW = 400  # samples a row is made of
_FFT = 512
_MELS = 80
_LOWEST_HZ = 20.0
_EMPHASIS = 0.97
_BLOCKS = ((12, 1), (24, 2), (16, 2))  # layers, dilation
_CONTEXT = 100  # rows over which a layer looks around itself


class Features:
    """Kaldi's log-mel features: windows of 25 ms, 80 bands."""

    def __init__(self, device: torch.device) -> None:
        self._window = torch.hann_window(ROW, periodic=False, device=device) ** 0.85
        self._bands = _mel_bands().to(device)

    def __call__(self, sound: Tensor) -> Tensor:
        """Rows x bands, of samples in -1..1; row i is of the samples from ``i * HOP`` on."""
        rows = sound.unfold(0, ROW, HOP)
        rows = rows - rows.mean(dim=1, keepdim=True)
        before = torch.cat([rows[:, :1], rows[:, :-1]], dim=1)
        spectra = torch.fft.rfft((rows - _EMPHASIS * before) * self._window, _FFT)
        energy = (spectra.real**2 + spectra.imag**2) @ self._bands
        return energy.clamp(min=torch.finfo(torch.float32).eps).log()


class VoicePrints:
    """The model; ``weights`` are its parameters by name."""

    def __init__(self, weights: Mapping[str, Tensor], device: torch.device) -> None:
        self._weights = {name: tensor.float().to(device) for name, tensor in weights.items() if tensor.ndim}
        self._norms = {
            name.removesuffix(".running_mean"): _folded(self._weights, name.removesuffix(".running_mean"))
            for name in self._weights
            if name.endswith(".running_mean")
        }

    def __call__(self, rows: Tensor) -> Tensor:
        """The print of the voice in some rows of ``Features``, of length 1."""
        x = self._spread((rows - rows.mean(dim=0)).T[None, None])
        x = self._conv(x, "xvector.tdnn.linear", stride=2, padding=2)
        x = self._norm(x, "xvector.tdnn.nonlinear.batchnorm").relu()
        for block, (layers, dilation) in enumerate(_BLOCKS, 1):
            for layer in range(1, layers + 1):
                x = torch.cat([x, self._layer(x, f"xvector.block{block}.tdnnd{layer}", dilation)], dim=1)
            x = self._norm(x, f"xvector.transit{block}.nonlinear.batchnorm").relu()
            x = self._conv(x, f"xvector.transit{block}.linear")
        x = self._norm(x, "xvector.out_nonlinear.batchnorm").relu()
        told = torch.cat([x.mean(dim=-1), x.std(dim=-1)], dim=-1)
        told = self._norm(self._conv(told[..., None], "xvector.dense.linear"), "xvector.dense.nonlinear.batchnorm")
        return functional.normalize(told[0, :, 0], dim=0)

    def _spread(self, x: Tensor) -> Tensor:
        """The bands, looked at as a picture: 1 x channels x rows."""
        x = self._norm(self._conv2(x, "head.conv1"), "head.bn1").relu()
        for stage in (1, 2):
            for place, stride in ((0, 2), (1, 1)):
                x = self._residual(x, f"head.layer{stage}.{place}", stride)
        x = self._norm(self._conv2(x, "head.conv2", 2), "head.bn2").relu()
        return x.flatten(1, 2)

    def _residual(self, x: Tensor, name: str, stride: int) -> Tensor:
        y = self._norm(self._conv2(x, f"{name}.conv1", stride), f"{name}.bn1").relu()
        y = self._norm(self._conv2(y, f"{name}.conv2"), f"{name}.bn2")
        if f"{name}.shortcut.0.weight" in self._weights:
            x = functional.conv2d(x, self._weights[f"{name}.shortcut.0.weight"], stride=(stride, 1))
            x = self._norm(x, f"{name}.shortcut.1")
        return (x + y).relu()

    def _layer(self, x: Tensor, name: str, dilation: int) -> Tensor:
        """One layer of a dense block: what it sees, weighed by what is around."""
        x = self._conv(self._norm(x, f"{name}.nonlinear1.batchnorm").relu(), f"{name}.linear1")
        x = self._norm(x, f"{name}.nonlinear2.batchnorm").relu()
        seen = self._conv(x, f"{name}.cam_layer.linear_local", padding=dilation, dilation=dilation)
        parts = functional.avg_pool1d(x, _CONTEXT, _CONTEXT, ceil_mode=True)
        around = x.mean(dim=-1, keepdim=True) + parts.repeat_interleave(_CONTEXT, dim=-1)[..., : x.shape[-1]]
        around = self._conv(around, f"{name}.cam_layer.linear1").relu()
        return seen * self._conv(around, f"{name}.cam_layer.linear2").sigmoid()

    def _conv(self, x: Tensor, name: str, stride: int = 1, padding: int = 0, dilation: int = 1) -> Tensor:
        weight, bias = self._weights[f"{name}.weight"], self._weights.get(f"{name}.bias")
        return functional.conv1d(x, weight, bias, stride, padding, dilation)

    def _conv2(self, x: Tensor, name: str, stride: int = 1) -> Tensor:
        return functional.conv2d(x, self._weights[f"{name}.weight"], stride=(stride, 1), padding=1)

    def _norm(self, x: Tensor, name: str) -> Tensor:
        factor, summand = self._norms[name]
        shape = (1, -1, *(1 for _ in x.shape[2:]))
        return x * factor.view(shape) + summand.view(shape)


def load(path: Path, device: torch.device) -> VoicePrints:
    """The model whose weights lie in a file, from which nothing but tensors and plain values is taken."""
    return VoicePrints(torch.load(path, map_location="cpu", weights_only=True), device)


def _folded(weights: Mapping[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    """A batch normalisation as a factor and a summand."""
    factor = (weights[f"{name}.running_var"] + 1e-5).rsqrt()
    if f"{name}.weight" not in weights:
        return factor, -weights[f"{name}.running_mean"] * factor
    factor = factor * weights[f"{name}.weight"]
    return factor, weights[f"{name}.bias"] - weights[f"{name}.running_mean"] * factor


def _mel_bands() -> Tensor:
    """Triangles that are even on the mel scale: bins x bands."""
    lowest, highest = _mel(_LOWEST_HZ), _mel(RATE / 2)
    edges = torch.linspace(lowest, highest, _MELS + 2)
    bins = 1127.0 * torch.log1p(torch.arange(_FFT // 2 + 1) * (RATE / _FFT) / 700.0)[:, None]
    up = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    bands = torch.minimum(up, down).clamp(min=0.0)
    bands[-1] = 0.0  # as Kaldi, which leaves the highest bin out
    return bands


def _mel(hertz: float) -> float:
    return 1127.0 * log(1.0 + hertz / 700.0)
