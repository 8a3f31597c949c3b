"""Whisper's encoder and decoder under transformers' parameter names, able to train on short windows.

transformers insists on 30 s windows; here the encoder takes any window and any position in those 30 s, and the decoder
also returns its cross-attention, for the auxiliary losses.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.checkpoints.nano_whisper.tokens import TIMESTAMPS

WIDTH = 128
HEADS = 4
HEAD_WIDTH = WIDTH // HEADS
FEED_FORWARD = 512
ENCODER_LAYERS = 3
DECODER_LAYERS = 2
MELS = 80
SOURCE_POSITIONS = 1500
TARGET_POSITIONS = 448
#: Cross-attention heads with a job: one follows the words, one the timestamps.
WORD_HEAD, TIME_HEAD = 0, 1
#: Each encoder layer's four heads start out looking this many 20 ms positions away.
_SHIFTS = ((-5, -2, 2, 5), (-10, -4, 4, 10), (-20, -8, 8, 20))
_SHIFT_SHARPNESS = 2.4
_CONVOLUTION_GAIN = 4.0
_TIMESTAMP_GAIN = 0.2


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's fixed encoder positions, (length, width): sines in the first half, cosines in the second."""
    rates = torch.exp(-torch.log(torch.tensor(10000.0)) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * rates[None, :]
    return torch.cat([angles.sin(), angles.cos()], dim=1)


class Attention(nn.Module):  # type: ignore[misc]
    """Multi-head attention; the key projection has no bias."""

    def __init__(self) -> None:
        super().__init__()
        self.q_proj = nn.Linear(WIDTH, WIDTH)
        self.k_proj = nn.Linear(WIDTH, WIDTH, bias=False)
        self.v_proj = nn.Linear(WIDTH, WIDTH)
        self.out_proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor, causal: bool = False) -> Tensor:
        """Self-attention over (batch, time, width)."""
        q, k, v = (_split(project(x)) for project in (self.q_proj, self.k_proj, self.v_proj))
        mixed = functional.scaled_dot_product_attention(q, k, v, is_causal=causal)
        return self._join(mixed)

    def across(self, x: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """Attention over the source, and its weights (batch, heads, target, source)."""
        q, k, v = _split(self.q_proj(x)), _split(self.k_proj(source)), _split(self.v_proj(source))
        weights = torch.softmax(q @ k.transpose(2, 3) * HEAD_WIDTH**-0.5, dim=-1)
        return self._join(weights @ v), weights

    def _join(self, mixed: Tensor) -> Tensor:
        joined: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return joined


def _split(x: Tensor) -> Tensor:
    return x.unflatten(2, (HEADS, HEAD_WIDTH)).transpose(1, 2)


class EncoderLayer(nn.Module):  # type: ignore[misc]
    """Self-attention and feed-forward, normalised before each."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = Attention()
        self.self_attn_layer_norm = nn.LayerNorm(WIDTH)
        self.fc1 = nn.Linear(WIDTH, FEED_FORWARD)
        self.fc2 = nn.Linear(FEED_FORWARD, WIDTH)
        self.final_layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, time, width) to the same."""
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        grown: Tensor = x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x))))
        return grown


class DecoderLayer(nn.Module):  # type: ignore[misc]
    """Causal self-attention, attention to the encoder, feed-forward."""

    def __init__(self) -> None:
        super().__init__()
        self.self_attn = Attention()
        self.self_attn_layer_norm = nn.LayerNorm(WIDTH)
        self.encoder_attn = Attention()
        self.encoder_attn_layer_norm = nn.LayerNorm(WIDTH)
        self.fc1 = nn.Linear(WIDTH, FEED_FORWARD)
        self.fc2 = nn.Linear(FEED_FORWARD, WIDTH)
        self.final_layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor, source: Tensor) -> tuple[Tensor, Tensor]:
        """The new states and the cross-attention weights."""
        x = x + self.self_attn(self.self_attn_layer_norm(x), causal=True)
        seen, weights = self.encoder_attn.across(self.encoder_attn_layer_norm(x), source)
        x = x + seen
        return x + self.fc2(functional.gelu(self.fc1(self.final_layer_norm(x)))), weights


class Encoder(nn.Module):  # type: ignore[misc]
    """Mel frames to states, one for every two frames."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(MELS, WIDTH, 3, padding=1)
        self.conv2 = nn.Conv1d(WIDTH, WIDTH, 3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(SOURCE_POSITIONS, WIDTH)
        self.layers = nn.ModuleList(EncoderLayer() for _ in range(ENCODER_LAYERS))
        self.layer_norm = nn.LayerNorm(WIDTH)

    def forward(self, mel: Tensor, offsets: Tensor) -> Tensor:
        """(batch, mels, frames) to (batch, frames / 2, width); ``offsets`` is where each clip starts, in positions."""
        x = functional.gelu(self.conv2(functional.gelu(self.conv1(mel)))).transpose(1, 2)
        places = offsets[:, None] + torch.arange(x.shape[1])[None, :]
        x = x + self.embed_positions(places)
        for layer in self.layers:
            x = layer(x)
        states: Tensor = self.layer_norm(x)
        return states


class Decoder(nn.Module):  # type: ignore[misc]
    """Tokens and encoder states to logits.

    The embeddings of the timestamps are not learned one by one (most are hardly ever seen, and the optimiser would
    shake them to pieces) but as one linear map of the encoder's positions; ``embeddings`` writes them out.
    """

    def __init__(self, vocabulary_size: int) -> None:
        super().__init__()
        self.embed_text = nn.Embedding(vocabulary_size - TIMESTAMPS, WIDTH)
        self.time_map = nn.Linear(WIDTH, WIDTH)
        self.register_buffer("time_code", sinusoids(TIMESTAMPS, WIDTH), persistent=False)
        self.embed_positions = nn.Embedding(TARGET_POSITIONS, WIDTH)
        self.layers = nn.ModuleList(DecoderLayer() for _ in range(DECODER_LAYERS))
        self.layer_norm = nn.LayerNorm(WIDTH)

    def embeddings(self) -> Tensor:
        """The embedding of every token, (vocabulary, width), which is also the output projection."""
        return torch.cat([self.embed_text.weight, self.time_map(self.time_code)])

    def forward(self, tokens: Tensor, source: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Logits (batch, target, vocabulary), and each layer's cross-attention weights."""
        table = self.embeddings()
        x = functional.embedding(tokens, table) + self.embed_positions.weight[: tokens.shape[1]]
        attention = []
        for layer in self.layers:
            x, weights = layer(x, source)
            attention.append(weights)
        return self.layer_norm(x) @ table.T, attention


@dataclass(frozen=True, slots=True)
class Output:
    """What a forward pass gives: token logits, cross-attention by layer, and frame-wise word logits."""

    logits: Tensor
    attention: list[Tensor]
    frames: Tensor


class NanoWhisper(nn.Module):  # type: ignore[misc]
    """The whole model; ``frame_head`` serves training only and is not exported."""

    def __init__(self, vocabulary_size: int, frame_classes: int) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder(vocabulary_size)
        self.frame_head = nn.Linear(WIDTH, frame_classes)
        with torch.no_grad():
            _start_plainly(self)
            _start_encoder(self.encoder)
            _start_decoder(self.decoder)

    def frames_only(self, mel: Tensor, offsets: Tensor) -> Tensor:
        """Word logits of every encoder position."""
        logits: Tensor = self.frame_head(self.encoder(mel, offsets))
        return logits

    def forward(self, mel: Tensor, offsets: Tensor, tokens: Tensor) -> Output:
        """One training pass."""
        source = self.encoder(mel, offsets)
        logits, attention = self.decoder(tokens, source)
        return Output(logits, attention, self.frame_head(source))


def _start_plainly(model: NanoWhisper) -> None:
    for module in model.modules():
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    nn.init.normal_(model.decoder.embed_text.weight, std=0.09)
    nn.init.normal_(model.decoder.embed_positions.weight, std=0.02)


def _start_encoder(encoder: Encoder) -> None:
    """Louder content beside the positions, and heads that look a fixed distance away: a shift of sinusoids is a
    rotation of each sine and cosine pair."""
    encoder.conv1.weight.mul_(_CONVOLUTION_GAIN)
    encoder.conv2.weight.mul_(_CONVOLUTION_GAIN)
    encoder.embed_positions.weight.copy_(sinusoids(SOURCE_POSITIONS, WIDTH))
    encoder.embed_positions.weight.requires_grad_(False)
    half, pairs = WIDTH // 2, HEAD_WIDTH // 2
    chosen = torch.arange(pairs) * 2
    rates = torch.exp(-torch.log(torch.tensor(10000.0)) / (half - 1) * chosen)
    for layer, shifts in zip(encoder.layers, _SHIFTS, strict=True):
        attention = layer.self_attn
        assert isinstance(attention, Attention)
        for head, shift in enumerate(shifts):
            sines = torch.arange(pairs) + head * HEAD_WIDTH
            cosines = sines + pairs
            turn, key = attention.q_proj.weight, attention.k_proj.weight
            rows = slice(head * HEAD_WIDTH, (head + 1) * HEAD_WIDTH)
            turn[rows], key[rows] = 0.0, 0.0
            turn[sines, chosen] = (rates * shift).cos() * _SHIFT_SHARPNESS
            turn[sines, chosen + half] = (rates * shift).sin() * _SHIFT_SHARPNESS
            turn[cosines, chosen] = -(rates * shift).sin() * _SHIFT_SHARPNESS
            turn[cosines, chosen + half] = (rates * shift).cos() * _SHIFT_SHARPNESS
            key[sines, chosen] = _SHIFT_SHARPNESS
            key[cosines, chosen + half] = _SHIFT_SHARPNESS


def _start_decoder(decoder: Decoder) -> None:
    """Timestamps start as the encoder's positions, and one cross-attention head per layer copies that code out."""
    half, pairs = WIDTH // 2, HEAD_WIDTH // 2
    chosen = torch.cat([torch.arange(pairs) * 2, torch.arange(pairs) * 2 + half])
    decoder.time_map.weight.zero_()
    decoder.time_map.weight[chosen, chosen] = _TIMESTAMP_GAIN
    own = torch.arange(HEAD_WIDTH) + TIME_HEAD * HEAD_WIDTH
    for layer in decoder.layers:
        attention = layer.encoder_attn
        assert isinstance(attention, Attention)
        for projection in (attention.q_proj, attention.k_proj, attention.v_proj):
            projection.weight[own] = 0.0
            projection.weight[own, chosen] = 1.0
        attention.out_proj.weight[:, own] = 0.0
        attention.out_proj.weight[chosen, own] = 1.0
