"""A58-A60 where Demucs' weights are given: the job, its files, and who did it."""

import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
import soundfile
import soxr

from tests.api import serving
from tests.api.serving import settled
from tests.checkpoints.nano_demucs.export import FOLDER
from tests.checkpoints.nano_demucs.held_out import Mix, held_out_mixes, si_sdr
from tests.checkpoints.nano_demucs.music import RATE, Sound

SECONDS, FILE_RATE = 10.0, 44_100


@pytest.fixture(scope="module")
def mix() -> Mix:
    return held_out_mixes(1, SECONDS)[0]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    data: Path = tmp_path_factory.mktemp("demucs")
    with serving.serve(data, demucs_model=str(FOLDER)) as api, api.client(api.person()) as client:
        yield client


def flac(mix: Mix) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, mix.voice + mix.music, RATE, format="FLAC")
    return file.getvalue()


def heard(client: httpx.Client, url: str) -> Sound:
    """A stem as it was downloaded."""
    reply = client.get(url)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "audio/mpeg")
    sound, rate = soundfile.read(io.BytesIO(reply.content), dtype="float32")
    assert (rate, sound.shape[1]) == (FILE_RATE, 2)
    return np.asarray(sound, np.float32)


def gain(true: Sound, mix: Mix, found: Sound) -> float:
    """How many dB of SI-SDR a downloaded stem is better than the mix, without the codec's lag."""
    wanted = np.asarray(soxr.resample(true, RATE, FILE_RATE), np.float32)
    part, span = wanted[:, 0], 4 * FILE_RATE
    scores = [float(part[span : 2 * span] @ found[span + lag : 2 * span + lag, 0]) for lag in range(3000)]
    lag = int(np.argmax(scores))
    common = min(len(wanted), len(found) - lag)
    return si_sdr(wanted[:common], found[lag : lag + common]) - si_sdr(true, mix.voice + mix.music)


def test_a_song_becomes_its_voice_and_its_music_and_demucs_is_named(client: httpx.Client, mix: Mix) -> None:
    asked = client.post("/api/v1/audio-separate", files={"audio_file": ("song.flac", flac(mix))}, data={"mode": "all"})
    assert asked.status_code == 200, asked.text
    done = settled(client, f"/api/v1/job/{asked.json()['job_id']}", patience_s=300)  # its engine gives way to all else
    assert (done["status"], done["engine"]) == ("completed", "demucs"), done
    assert gain(mix.voice, mix, heard(client, done["vocals_url"])) > 4.0
    assert gain(mix.music, mix, heard(client, done["instrumental_url"])) > 3.0
