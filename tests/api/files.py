"""The files that the documents' examples send, made small: speech, a film with speech, a song, subtitles."""

import wave
from pathlib import Path

import av
import numpy as np

from loadtest.recordings import RATE, record
from tests.checkpoints.nano_whisper.held_out import held_out_sentences

SUBTITLES = """1
00:00:00,500 --> 00:00:02,000
Xin chào các bạn.

2
00:00:02,500 --> 00:00:04,500
Hôm nay trời đẹp.
"""
LONG_S = 121.0  # just over A37's two minutes


def make_files(directory: Path) -> Path:
    """All of them, in ``directory``."""
    speech = record(held_out_sentences("en", 2, seed=5), pause=0.6).pcm
    _wav(directory / "recording.wav", speech)
    _wav(directory / "sample.wav", speech[: 4 * 2 * RATE])
    _encode(directory / "podcast.mp3", speech, "mp3", "libmp3lame")
    silence = bytes(int(LONG_S * RATE) * 2 - len(speech))
    _encode(directory / "podcast_20min.mp3", speech + silence, "mp3", "libmp3lame")
    _encode(directory / "video.mp4", speech, "mp4", "aac", pictures=True)
    _encode(directory / "song.mp3", _song(speech), "mp3", "libmp3lame")
    (directory / "subtitles.srt").write_text(SUBTITLES, encoding="utf-8")
    return directory


def _song(speech: bytes) -> bytes:
    """Speech over a chord."""
    voice = np.frombuffer(speech, "<i2")[: 6 * RATE].astype(np.float64)
    times = np.arange(len(voice)) / RATE
    chord = sum(np.sin(2 * np.pi * tone * times) for tone in (220.0, 277.2, 329.6))
    return bytes(np.clip(0.6 * voice + 2000 * chord, -32768, 32767).astype("<i2").tobytes())


def _wav(path: Path, pcm: bytes) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(pcm)


def _encode(path: Path, pcm: bytes, container: str, codec: str, *, pictures: bool = False) -> None:
    with av.open(str(path), "w", format=container) as output:
        film = None
        if pictures:
            film = output.add_stream("mpeg4", rate=5)
            film.width, film.height, film.pix_fmt = 64, 48, "yuv420p"
        sound = output.add_stream(codec, rate=RATE, layout="mono")
        if film is not None:
            for number in range(len(pcm) * 5 // (2 * RATE)):
                frame = av.VideoFrame.from_ndarray(np.full((72, 64), number % 200, np.uint8), "yuv420p")
                frame.pts = number
                output.mux(film.encode(frame))
            output.mux(film.encode(None))
        samples = av.AudioFrame.from_ndarray(np.frombuffer(pcm, "<i2").reshape(1, -1), "s16", "mono")
        samples.sample_rate, samples.pts = RATE, 0
        output.mux(sound.encode(samples))
        output.mux(sound.encode(None))
