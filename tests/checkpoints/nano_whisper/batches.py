"""Clips turned into tensors: features, token sequences, and the targets of the auxiliary losses."""

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from faster_whisper.feature_extractor import FeatureExtractor
from torch import Tensor

from tests.checkpoints.nano_whisper.clips import Clip, Rng
from tests.checkpoints.nano_whisper.model import DECODER_LAYERS, MELS, SOURCE_POSITIONS, TIME_HEAD, WORD_HEAD
from tests.checkpoints.nano_whisper.speech import SAMPLE_RATE, Audio
from tests.checkpoints.nano_whisper.tokens import Tokens, build_tokens
from tests.checkpoints.nano_whisper.vocabulary import ENGLISH, TIMESTAMP_SECONDS, VIETNAMESE

IGNORED = -100
SILENCE_CLASS = 0
FRAME_CLASS = {word: 1 + index for index, word in enumerate((*ENGLISH, *VIETNAMESE))}
FRAME_CLASSES = 1 + len(FRAME_CLASS)
_HOP, _FFT = 160, 400
#: Decoding never lets a first timestamp be later than this, in seconds.
_LATEST_FIRST_START = 1.0


@dataclass(slots=True)
class Batch:
    """``guides`` rows are (clip, target position, layer, head, first source position, end source position)."""

    mel: Tensor
    offsets: Tensor
    tokens: Tensor
    labels: Tensor
    frames: Tensor
    guides: Tensor


@dataclass(slots=True)
class _Sequence:
    """A token sequence under construction; ``spans[i]`` is where in the clip token i is heard, in seconds."""

    tokens: list[int]
    labelled: list[bool]
    spans: list[tuple[float, float] | None]

    def add(self, token: int, labelled: bool = True, span: tuple[float, float] | None = None) -> None:
        self.tokens.append(token)
        self.labelled.append(labelled)
        self.spans.append(span)


@dataclass(frozen=True, slots=True)
class Mode:
    """How a clip is to be decoded: with timestamps or not, translated or not, after which previous words."""

    timestamps: bool
    translated: bool
    previous: tuple[str, ...]
    offset: int


@cache
def _filters() -> tuple[Tensor, Tensor]:
    bank = FeatureExtractor.get_mel_filters(SAMPLE_RATE, _FFT, n_mels=MELS).astype("float32")
    return torch.from_numpy(bank), torch.hann_window(_FFT)


def log_mel(audio: Audio) -> Tensor:
    """Whisper's features of the audio, (mels, frames), 100 frames a second, nothing padded."""
    bank, window = _filters()
    samples = torch.nn.functional.pad(torch.from_numpy(audio), (0, max(_HOP, _FFT - len(audio))))
    spectrum = torch.stft(samples, _FFT, _HOP, window=window, return_complex=True)[:, :-1].abs() ** 2
    log = torch.clamp(bank @ spectrum, min=1e-10).log10()
    return (torch.maximum(log, log.max() - 8.0) + 4.0) / 4.0


def padded_mel(audio: Audio, frames: int) -> Tensor:
    """Features of exactly ``frames`` frames; missing ones are 0.0, as faster-whisper pads them."""
    mel = log_mel(audio)[:, :frames]
    return torch.nn.functional.pad(mel, (0, frames - mel.shape[1]))


def draw_mode(clip: Clip, window: float, offset_share: float, timestamp_share: float, rng: Rng) -> Mode:
    """A random way to decode a clip."""
    room = SOURCE_POSITIONS - round(window * 50)
    words = [*VIETNAMESE] if clip.language == "vi" else [*ENGLISH]
    previous = tuple(rng.choice(words, rng.integers(1, 12))) if rng.random() < 0.12 else ()
    return Mode(
        timestamps=clip.cut_off is not None or bool(rng.random() < timestamp_share),
        translated=clip.language == "vi" and bool(rng.random() < 0.15),
        previous=previous,
        offset=int(rng.integers(room + 1)) if rng.random() < offset_share else 0,
    )


def _sequence(clip: Clip, mode: Mode, tokens: Tokens) -> _Sequence:
    special = tokens.special
    sequence = _Sequence([], [], [])
    if mode.previous:
        sequence.add(special["startofprev"], labelled=False)
        for word in mode.previous:
            sequence.add(tokens.word[word], labelled=False)
    sequence.add(special["startoftranscript"], labelled=False)
    sequence.add(special[clip.language], labelled=bool(clip.words))
    sequence.add(special["translate" if mode.translated else "transcribe"], labelled=False)
    if not mode.timestamps:
        sequence.add(special["notimestamps"], labelled=False)
    _add_text(sequence, clip, mode, tokens)
    last = max((word.end for word in clip.words), default=None)
    sequence.add(tokens.end, span=None if last is None else (last, last + 0.3))
    return sequence


def _add_text(sequence: _Sequence, clip: Clip, mode: Mode, tokens: Tokens) -> None:
    shift = mode.offset * TIMESTAMP_SECONDS

    def stamp(seconds: float, latest: float) -> None:
        if mode.timestamps:
            span = (seconds - 0.02, seconds + 0.04) if seconds <= latest else None
            sequence.add(tokens.timestamp(min(seconds, latest) + shift), span=span)

    latest = 99.0 if mode.offset else _LATEST_FIRST_START
    for utterance in clip.utterances:
        stamp(utterance[0].start, latest)
        latest = 99.0
        for word in utterance:
            text = VIETNAMESE[word.text] if mode.translated else word.text
            sequence.add(tokens.word[text], span=(word.start, word.end))
        stamp(utterance[-1].end, latest)
    if clip.cut_off is not None:
        stamp(clip.cut_off, latest)
    elif not clip.utterances and mode.timestamps:
        sequence.add(tokens.timestamp(shift), labelled=False)


def _guides(row: int, sequence: _Sequence, tokens: Tokens, positions: int) -> list[list[int]]:
    """The last layer looks at the token to come, the one before at the token just read."""
    guides = []
    for index, span in enumerate(sequence.spans):
        if span is None:
            continue
        first = min(max(int(span[0] * 50), 0), positions - 1)
        end = min(max(round(span[1] * 50), first + 1), positions)
        head = TIME_HEAD if sequence.tokens[index] >= tokens.first_timestamp else WORD_HEAD
        guides.append([row, index - 1, DECODER_LAYERS - 1, head, first, end])
        if index < len(sequence.tokens) - 1:
            guides.append([row, index, DECODER_LAYERS - 2, head, first, end])
    return guides


def _frame_classes(clip: Clip, positions: int) -> Tensor:
    classes = torch.full((positions,), SILENCE_CLASS)
    for word in clip.words:
        classes[int(word.start * 50) : max(round(word.end * 50), int(word.start * 50) + 1)] = FRAME_CLASS[word.text]
    if clip.cut_off is not None:
        classes[int(clip.cut_off * 50) :] = IGNORED
    return classes


def _mask_features(mel: Tensor, rng: Rng) -> None:
    """Light SpecAugment, in place."""
    if rng.random() < 0.3:
        low = int(rng.integers(MELS - 8))
        mel[:, low : low + int(rng.integers(1, 9))] = float(mel.mean())
    if rng.random() < 0.2:
        start = int(rng.integers(max(mel.shape[2] - 5, 1)))
        mel[:, :, start : start + int(rng.integers(1, 6))] = 0.0


def make_batch(clips: list[Clip], modes: list[Mode], frames: int, rng: Rng) -> Batch:
    """Tensors of clips that share a window of ``frames`` mel frames."""
    tokens = build_tokens()
    sequences = [_sequence(clip, mode, tokens) for clip, mode in zip(clips, modes, strict=True)]
    length = max(len(sequence.tokens) for sequence in sequences) - 1
    inputs = torch.full((len(clips), length), tokens.end)
    labels = torch.full((len(clips), length), IGNORED)
    guides: list[list[int]] = []
    mels = []
    for row, (clip, sequence) in enumerate(zip(clips, sequences, strict=True)):
        size = len(sequence.tokens) - 1
        inputs[row, :size] = torch.tensor(sequence.tokens[:-1])
        wanted = [t if labelled else IGNORED for t, labelled in zip(sequence.tokens, sequence.labelled, strict=True)]
        labels[row, :size] = torch.tensor(wanted[1:])
        if not clip.speech:
            labels[row, sequence.tokens.index(tokens.special["startoftranscript"])] = tokens.special["nospeech"]
        guides += _guides(row, sequence, tokens, frames // 2)
        mel = padded_mel(clip.audio, frames)[None]
        _mask_features(mel, rng)
        mels.append(mel)
    classes = torch.stack([_frame_classes(clip, frames // 2) for clip in clips])
    offsets = torch.tensor([mode.offset for mode in modes])
    rows = torch.tensor(guides, dtype=torch.long).reshape(-1, 6)
    return Batch(torch.cat(mels), offsets, inputs, labels, classes, rows)


def generator(*seed: int) -> Rng:
    """A random generator for one batch, the same for the same numbers."""
    return np.random.default_rng(seed)
