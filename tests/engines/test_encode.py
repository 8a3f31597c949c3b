"""Encoders against independent decoders: what comes out plays, lasts as long as it should, and starts clean again."""

import io
import time
import wave

import av
import numpy as np
import pytest
import soundfile

from engines.encode import (
    OPUS_RATES,
    Encoder,
    check_format,
    default_bitrate,
    mp3_bitrates,
    mp3_rates,
)
from protocol.audio import AudioFormat, Encoding, alaw_decode, alaw_encode, mulaw_decode, mulaw_encode
from protocol.errors import Code, VoiceError
from tests.engines.sound import strongest_frequency, tone

E_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)  # E8
E_BITRATES = (8000, 16000, 32000, 64000, 128000)  # E6


def encoded(encoder: Encoder, pcm: bytes, piece_s: float = 0.02) -> bytes:
    size = AudioFormat(rate=encoder.audio.rate).size(piece_s)
    parts = [encoder.encode(pcm[at : at + size]) for at in range(0, len(pcm), size)]
    return b"".join([*parts, encoder.finish()])


def decoded(data: bytes) -> tuple[bytes, int]:
    """By FFmpeg, which wrote neither the mp3 nor the headers; for Opus libsndfile agrees below."""
    with av.open(io.BytesIO(data)) as container:
        frames = list(container.decode(audio=0))
        rate = frames[0].sample_rate
        mono = av.AudioResampler("s16", "mono", rate)
        parts = [part for frame in [*frames, None] for part in mono.resample(frame)]
    return b"".join(part.to_ndarray().tobytes() for part in parts), rate


def test_pcm_is_itself() -> None:
    pcm = tone(440, 0.3, 16000)
    assert encoded(Encoder(AudioFormat()), pcm) == pcm


@pytest.mark.parametrize("encoding", [Encoding.MULAW, Encoding.ALAW])
def test_g711_is_half_the_size_and_the_same_tone(encoding: Encoding) -> None:
    pcm = tone(440, 1.0, 8000)
    out = encoded(Encoder(AudioFormat(encoding, 8000)), pcm)
    back = (mulaw_decode if encoding is Encoding.MULAW else alaw_decode)(out)
    assert out == (mulaw_encode if encoding is Encoding.MULAW else alaw_encode)(pcm)
    assert len(out) == 8000
    assert strongest_frequency(back, 8000) == pytest.approx(440, abs=1)


def test_wav_while_it_is_made_is_read_by_everybody() -> None:
    pcm = tone(440, 1.0, 22050)
    out = encoded(Encoder(AudioFormat(Encoding.WAV, 22050)), pcm)
    assert out[44:] == pcm
    assert decoded(out) == (pcm, 22050)
    with wave.open(io.BytesIO(out)) as file:
        assert file.readframes(file.getnframes()) == pcm
    read, rate = soundfile.read(io.BytesIO(out), dtype="int16")
    assert (read.tobytes(), rate) == (pcm, 22050)


def test_wav_of_a_known_size_says_it() -> None:
    pcm = tone(440, 0.1, 8000)
    out = encoded(Encoder(AudioFormat(Encoding.WAV, 8000), size=len(pcm)), pcm)
    with wave.open(io.BytesIO(out)) as file:
        assert file.getnframes() == len(pcm) // 2


def test_wav_without_sound_is_a_header() -> None:
    encoder = Encoder(AudioFormat(Encoding.WAV, 8000), size=0)
    with wave.open(io.BytesIO(encoder.finish())) as file:
        assert file.getnframes() == 0


@pytest.mark.parametrize("rate", E_RATES)
def test_mp3_at_every_rate_and_allowed_bitrate_lasts_as_long_as_its_sound(rate: int) -> None:
    pcm = tone(440, 2.0, rate)
    for bitrate in sorted({*E_BITRATES} & {*mp3_bitrates(rate)}):
        out = encoded(Encoder(AudioFormat(Encoding.MP3, rate), bitrate), pcm, 0.06)
        with av.open(io.BytesIO(out)) as container:
            context = container.streams.audio[0].codec_context
            assert (context.name, context.sample_rate, context.channels) == ("mp3float", rate, 1)
            assert container.bit_rate == pytest.approx(bitrate, rel=0.01)
        back, back_rate = decoded(out)
        assert back_rate == rate
        assert 0 <= len(back) // 2 - 2 * rate < 2400  # LAME's delay, and whole frames
        assert strongest_frequency(back, rate) == pytest.approx(440, abs=3)
        assert len(out) * 8 / (len(back) / 2 / rate) == pytest.approx(bitrate, rel=0.03)


@pytest.mark.parametrize(
    ("bitrate", "rates"),
    [
        (8000, (8000, 11025, 12000, 16000, 22050, 24000)),
        (16000, (8000, 11025, 12000, 16000, 22050, 24000)),
        (32000, (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)),
        (64000, (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)),
        (128000, (16000, 22050, 24000, 32000, 44100, 48000)),
        (160000, (16000, 22050, 24000, 32000, 44100, 48000)),
        (320000, (32000, 44100, 48000)),
        (9000, ()),
        (8500, ()),
    ],
)
def test_which_rates_mpeg_allows(bitrate: int, rates: tuple[int, ...]) -> None:
    assert mp3_rates(bitrate) == rates
    assert all(bitrate in mp3_bitrates(rate) for rate in rates)


def test_an_unknown_rate_has_no_bitrates() -> None:
    assert mp3_bitrates(9000) == ()


def test_a_pair_mpeg_forbids_is_refused_with_those_it_allows() -> None:
    """LAME itself would write 64 kbps without a word."""
    with pytest.raises(VoiceError) as caught:
        Encoder(AudioFormat(Encoding.MP3, 8000), 128000)
    assert caught.value.code is Code.BAD_REQUEST
    assert caught.value.facts == {"field": "bitrate", "allowed": mp3_bitrates(8000)}
    assert "16000, 22050, 24000, 32000, 44100, 48000 Hz" in caught.value.message


@pytest.mark.parametrize(
    ("audio", "bitrate", "field"),
    [
        (AudioFormat(Encoding.MP3, 9000), None, "sample_rate"),
        (AudioFormat(Encoding.MP3, 24000), 12345, "bitrate"),
        (AudioFormat(Encoding.OPUS, 22050), None, "sample_rate"),
        (AudioFormat(Encoding.OPUS, 24000), 1000, "bitrate"),
        (AudioFormat(Encoding.PCM_S16LE, 96000), None, "sample_rate"),
    ],
)
def test_what_cannot_be_written_names_its_field(audio: AudioFormat, bitrate: int | None, field: str) -> None:
    with pytest.raises(VoiceError) as caught:
        check_format(audio, bitrate)
    assert caught.value.facts["field"] == field


@pytest.mark.parametrize(("rate", "bitrate"), [(48000, 128000), (16000, 128000), (8000, 64000)])
def test_the_default_bitrate_is_128_or_the_most_there_is(rate: int, bitrate: int) -> None:
    assert default_bitrate(AudioFormat(Encoding.MP3, rate)) == bitrate
    assert encoded(Encoder(AudioFormat(Encoding.MP3, rate)), tone(440, 0.5, rate))


@pytest.mark.parametrize("rate", OPUS_RATES)
def test_opus_lasts_as_long_as_its_sound(rate: int) -> None:
    pcm = tone(440, 2.0, rate)
    out = encoded(Encoder(AudioFormat(Encoding.OPUS, rate), 32000), pcm)
    sound, back = soundfile.read(io.BytesIO(out), dtype="int16")
    assert len(sound) / back == pytest.approx(2.0, abs=0.03)
    assert strongest_frequency(sound[back // 4 : -back // 4].tobytes(), back) == pytest.approx(440, abs=3)
    assert strongest_frequency(decoded(out)[0], decoded(out)[1]) == pytest.approx(440, abs=3)


@pytest.mark.parametrize("encoding", [Encoding.MP3, Encoding.OPUS])
def test_bytes_leave_while_sound_comes(encoding: Encoding) -> None:
    """Nothing is held back for longer than 150 ms of sound."""
    encoder = Encoder(AudioFormat(encoding, 24000), 64000)
    pcm, silent = tone(440, 2.0, 24000), 0
    for at in range(0, len(pcm), 960):
        silent = 0 if encoder.encode(pcm[at : at + 960]) else silent + 1
        assert silent * 0.02 <= 0.15


@pytest.mark.parametrize("rate", E_RATES)
def test_mp3_comes_in_whole_frames_and_tells_the_quiet_around_the_sound(rate: int) -> None:
    """So what is broken off and followed by other sound is one stream, and its length is known to the sample."""
    pcm = tone(440, 0.7, rate)
    for bitrate in mp3_bitrates(rate):
        encoder = Encoder(AudioFormat(Encoding.MP3, rate), bitrate)
        broken_off = b"".join(encoder.encode(pcm[at : at + 640]) for at in range(0, len(pcm), 640))
        encoder.reset()
        lead_s, whole = encoder.lead_s, encoded(encoder, pcm)
        assert encoder.lead_s == lead_s == 1105 / rate
        lasts = len(decoded(whole)[0]) / 2 / rate
        assert lasts == pytest.approx(0.7 + lead_s + encoder.tail_s, abs=1e-3)
        joined = decoded(broken_off + whole)[0]  # by one decoder, which must find nothing wrong
        assert len(joined) == len(decoded(broken_off)[0]) + len(decoded(whole)[0])


@pytest.mark.parametrize("encoding", list(Encoding))
def test_after_finish_and_after_reset_the_next_utterance_starts_clean(encoding: Encoding) -> None:
    pcm = tone(440, 0.5, 24000)
    fresh = encoded(Encoder(AudioFormat(encoding, 24000)), pcm)
    again = Encoder(AudioFormat(encoding, 24000))
    encoded(again, tone(1000, 0.7, 24000))
    assert _sound(encoding, encoded(again, pcm)) == _sound(encoding, fresh)
    again.encode(tone(1000, 0.3, 24000))  # a clear, in the middle of an utterance
    again.reset()
    assert _sound(encoding, encoded(again, pcm)) == _sound(encoding, fresh)


def _sound(encoding: Encoding, data: bytes) -> bytes:
    """An Ogg stream has a random serial number, so its sound is compared instead of its bytes."""
    return decoded(data)[0] if encoding is Encoding.OPUS else data


@pytest.mark.parametrize("encoding", [e for e in Encoding if e is not Encoding.WAV])
def test_no_sound_makes_no_bytes(encoding: Encoding) -> None:
    encoder = Encoder(AudioFormat(encoding, 24000))
    assert encoder.encode(b"") + encoder.finish() == b""


@pytest.mark.parametrize("encoding", [Encoding.MP3, Encoding.OPUS])
def test_a_single_sample_can_be_finished(encoding: Encoding) -> None:
    encoder = Encoder(AudioFormat(encoding, 24000))
    assert encoder.encode(b"\x01\x00") + encoder.finish()


def test_mp3_of_a_300_character_call_is_cheap() -> None:
    """16 s at the rate E8 gives by default: 33 ms of CPU alone on the machine; a wide margin for a busy one."""
    pcm = np.random.default_rng(1).normal(0, 3000, 16 * 48000).astype("<i2").tobytes()
    best = min(_cpu_of_encoding(pcm) for _ in range(3))
    assert best < 0.2


def _cpu_of_encoding(pcm: bytes) -> float:
    start = time.process_time()
    encoded(Encoder(AudioFormat(Encoding.MP3, 48000), 128000), pcm, 0.06)
    return time.process_time() - start
