"""Formats, G.711 against the recommendation's values, WAV headers against libraries that read them."""

import io
import struct
import wave

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.audio import (
    UNKNOWN_LENGTH,
    AudioFormat,
    Encoding,
    alaw_decode,
    alaw_encode,
    check_rate,
    mulaw_decode,
    mulaw_encode,
    pcm_seconds,
    pcm_size,
    wav_header,
)
from protocol.errors import Code, VoiceError

EVERY_SAMPLE = struct.pack("<65536h", *range(-32768, 32768))
EVERY_CODE = bytes(range(256))


def unpacked(pcm: bytes) -> tuple[int, ...]:
    return struct.unpack(f"<{len(pcm) // 2}h", pcm)


def test_an_empty_format_is_what_c8_streams() -> None:
    assert AudioFormat() == AudioFormat(Encoding.PCM_S16LE, 16000)


@pytest.mark.parametrize(
    ("encoding", "width"),
    [
        (Encoding.PCM_S16LE, 2),
        (Encoding.WAV, 2),
        (Encoding.MULAW, 1),
        (Encoding.ALAW, 1),
        (Encoding.MP3, 0),
        (Encoding.OPUS, 0),
    ],
)
def test_sample_bytes(encoding: Encoding, width: int) -> None:
    assert AudioFormat(encoding, 8000).sample_bytes == width


def test_seconds_and_size_are_inverse_and_whole() -> None:
    audio = AudioFormat(Encoding.PCM_S16LE, 22050)
    assert audio.seconds(44100) == 1.0
    assert audio.size(0.02) == 882
    assert audio.size(0.00001) == 0
    assert AudioFormat(Encoding.MULAW, 8000).size(0.02) == 160
    assert pcm_seconds(32000, 16000) == 1.0
    assert pcm_size(0.0201, 11025) % 2 == 0


def test_compressed_formats_have_no_byte_arithmetic() -> None:
    with pytest.raises(ValueError, match="mp3"):
        AudioFormat(Encoding.MP3, 16000).seconds(1)
    with pytest.raises(ValueError, match="opus"):
        AudioFormat(Encoding.OPUS, 16000).size(1.0)


def test_every_encoding_has_a_media_type() -> None:
    types = {encoding: AudioFormat(encoding, 8000).media_type for encoding in Encoding}
    assert types[Encoding.MP3] == "audio/mpeg"
    assert types[Encoding.WAV] == "audio/wav"
    assert types[Encoding.PCM_S16LE] == "audio/pcm;rate=8000"  # E9
    assert len(set(types.values())) == len(Encoding)


@pytest.mark.parametrize("rate", [8000, 11025, 48000])
def test_rates_in_range_pass(rate: int) -> None:
    assert check_rate(rate) == rate


@pytest.mark.parametrize("rate", [0, -8000, 7999, 48001, 192000])
def test_rates_out_of_range_name_the_field(rate: int) -> None:
    with pytest.raises(VoiceError) as caught:
        check_rate(rate, field="sampleRate")
    assert caught.value.code is Code.BAD_REQUEST
    assert caught.value.facts == {"field": "sampleRate", "minimum": 8000, "maximum": 48000}


def test_mulaw_values_of_g711() -> None:
    """G.711 table 2: the decoder's outputs at the ends of the first and the last segment, times 4 for 16 bits."""
    assert unpacked(mulaw_decode(b"\x00\x80\x7f\xff\x8f\x0f")) == (-32124, 32124, 0, 0, 16764, -16764)
    assert mulaw_encode(struct.pack("<5h", 0, 32767, -32768, 32124, -32124)) == b"\xff\x80\x00\x80\x00"


def test_alaw_values_of_g711() -> None:
    """G.711 table 1, times 8 for 16 bits, even bits inverted."""
    assert unpacked(alaw_decode(b"\xd5\x55\xaa\x2a")) == (8, -8, 32256, -32256)
    assert alaw_encode(struct.pack("<4h", 0, -1, 32767, -32768)) == b"\xd5\x55\xaa\x2a"


@pytest.mark.parametrize(("encode", "decode"), [(mulaw_encode, mulaw_decode), (alaw_encode, alaw_decode)])
def test_g711_codes_survive_a_round_trip(encode: object, decode: object) -> None:
    assert callable(encode)
    assert callable(decode)
    again = encode(decode(EVERY_CODE))
    assert decode(again) == decode(EVERY_CODE)  # mu-law writes zero in two ways
    assert sum(a != b for a, b in zip(again, EVERY_CODE, strict=True)) <= 1


@pytest.mark.parametrize(("encode", "decode"), [(mulaw_encode, mulaw_decode), (alaw_encode, alaw_decode)])
def test_g711_error_is_a_fraction_of_the_sample(encode: object, decode: object) -> None:
    """Half a step: 1/32 of the magnitude above the linear part, but for mu-law's clipping above 32635."""
    assert callable(encode)
    assert callable(decode)
    after = unpacked(decode(encode(EVERY_SAMPLE)))
    for before, sample in zip(unpacked(EVERY_SAMPLE), after, strict=True):
        assert abs(before - sample) <= max(8, (abs(before) + 132) / 32 + 1, abs(before) - 32124)


def test_g711_is_monotone() -> None:
    for encode, decode in ((mulaw_encode, mulaw_decode), (alaw_encode, alaw_decode)):
        after = unpacked(decode(encode(EVERY_SAMPLE)))
        assert list(after) == sorted(after)


def test_g711_refuses_half_a_sample() -> None:
    with pytest.raises(ValueError, match="even"):
        mulaw_encode(b"\x00")
    with pytest.raises(ValueError, match="even"):
        alaw_encode(b"\x00\x00\x00")


@given(st.binary(max_size=400), st.integers(0, 400))
def test_g711_does_not_care_where_it_is_cut(data: bytes, cut: int) -> None:
    for decode in (mulaw_decode, alaw_decode):
        assert decode(data[:cut]) + decode(data[cut:]) == decode(data)


def chunks(header: bytes) -> dict[bytes, tuple[int, bytes]]:
    found, at = {}, 12
    while at < len(header):
        name, size = struct.unpack_from("<4sI", header, at)
        found[name] = (size, header[at + 8 : at + 8 + size])
        at += 8 + size if name != b"data" else 8
    return found


def test_wav_of_known_length_reads_back() -> None:
    pcm = struct.pack("<400h", *range(400))
    with wave.open(io.BytesIO(wav_header(AudioFormat(Encoding.WAV, 22050), len(pcm)) + pcm)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (22050, 1, 2)
        assert file.readframes(file.getnframes()) == pcm
    header = wav_header(AudioFormat(Encoding.WAV, 22050), len(pcm))
    assert len(header) == 44
    assert struct.unpack_from("<I", header, 4) == (36 + len(pcm),)


def test_wav_of_unknown_length_says_so_in_both_places() -> None:
    header = wav_header(AudioFormat(Encoding.WAV, 8000))
    assert struct.unpack_from("<I", header, 4) == (UNKNOWN_LENGTH,)
    assert chunks(header)[b"data"][0] == UNKNOWN_LENGTH


def test_wav_too_long_for_its_header_is_open_ended() -> None:
    header = wav_header(AudioFormat(Encoding.WAV, 8000), 1 << 33)
    assert chunks(header)[b"data"][0] == UNKNOWN_LENGTH


@pytest.mark.parametrize(("encoding", "tag"), [(Encoding.ALAW, 6), (Encoding.MULAW, 7)])
def test_wav_of_g711_has_its_tag_and_a_fact_chunk(encoding: Encoding, tag: int) -> None:
    header = wav_header(AudioFormat(encoding, 8000), 161)
    found = chunks(header)
    assert struct.unpack("<HHIIHHH", found[b"fmt "][1]) == (tag, 1, 8000, 8000, 1, 8, 0)
    assert struct.unpack("<I", found[b"fact"][1]) == (161,)
    assert struct.unpack_from("<I", header, 4) == (len(header) - 8 + 162,)  # chunks are padded to even


def test_wav_holds_no_compressed_sound() -> None:
    with pytest.raises(ValueError, match="opus"):
        wav_header(AudioFormat(Encoding.OPUS, 48000))
