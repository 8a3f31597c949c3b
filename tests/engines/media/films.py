"""Sound and video files made for tests: a tone, and where wanted moving pictures beside it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.packet import Packet

from tests.engines.sound import tone

SECONDS = 2.0
# Every extension of A34 and the rest of form_limits.is_video: its muxer, and codecs of both kinds that it takes.
FILMS = {
    "mp4": ("mp4", "mpeg4", "aac"),
    "m4v": ("mp4", "mpeg4", "aac"),
    "mov": ("mov", "mpeg4", "pcm_s16le"),
    "mkv": ("matroska", "mpeg4", "flac"),
    "webm": ("webm", "libvpx", "libopus"),
    "avi": ("avi", "mpeg4", "libmp3lame"),
    "flv": ("flv", "flv", "libmp3lame"),
    "wmv": ("asf", "wmv2", "wmav2"),
    "3gp": ("3gp", "h263", "aac"),
    "mpg": ("mpeg", "mpeg1video", "mp2"),
    "ts": ("mpegts", "mpeg2video", "mp2"),
}


def make_film(
    path: Path, container: str, video: str | None, audio: str, *, rate: int = 48000, layout: str = "mono"
) -> Path:
    """A file with a 440 Hz tone, and with a picture that changes unless ``video`` is None."""
    with av.open(str(path), "w", format=container) as output:
        pictures = None
        if video is not None:
            options = {"deadline": "realtime", "cpu-used": "8"} if video == "libvpx" else {}
            pictures = output.add_stream(video, rate=25, options=options)
            pictures.width, pictures.height, pictures.pix_fmt = 176, 144, "yuv420p"
        sound = output.add_stream(audio, rate=rate, layout=layout)
        sound.bit_rate = 64000
        if pictures is not None:
            for packet in _pictures(pictures):
                output.mux(packet)
        for packet in _sound(sound, rate, layout):
            output.mux(packet)
    return path


def _pictures(stream: "av.VideoStream") -> Iterator["Packet[Any]"]:
    for number in range(10):  # they need not last as long as the sound
        frame = av.VideoFrame.from_ndarray(np.full((216, 176), number, np.uint8), "yuv420p")
        frame.pts = number
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _sound(stream: "av.AudioStream", rate: int, layout: str) -> Iterator["Packet[Any]"]:
    samples = np.frombuffer(tone(440, SECONDS, rate), "<i2")
    packed = np.repeat(samples, 2 if layout == "stereo" else 1).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(packed, "s16", layout)
    frame.sample_rate, frame.pts = rate, 0
    yield from stream.encode(frame)
    yield from stream.encode(None)
