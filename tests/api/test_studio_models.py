"""API A on a server that is given a model for everything, in a network with nobody in it: who did the work, how well.

Recognition v1 is transformers' and v2 faster-whisper's; VITS speaks English; Demucs takes music apart. Nothing is
fetched for any of it, nothing is even looked for.
"""

import io
import re
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import pysrt
import pytest
import soundfile
import soxr

from loadtest.recordings import CHECKPOINT, RATE, Recording, record
from tests.acceptance.listening import hear
from tests.alone import HUSH, Alone
from tests.api import serving
from tests.api.serving import Api, settled
from tests.checkpoints.nano_demucs.held_out import Mix, held_out_mixes, si_sdr
from tests.checkpoints.nano_demucs.music import Sound, music
from tests.checkpoints.nano_demucs.shape import FOLDER
from tests.checkpoints.nano_vits.make_nano_vits import make
from tests.checkpoints.nano_whisper.held_out import held_out_sentences
from tests.checkpoints.nano_whisper.word_errors import word_errors

_PATIENCE_S = 600.0  # engines for recordings are loaded by processes that give way to everything else on the machine
_FILE_RATE = 44_100


@pytest.fixture(scope="module")
def alone() -> Iterator[Alone]:
    """Whatever of the tests below ran, nobody wanted to go out for it."""
    with Alone() as network:
        yield network
        assert network.attempts() == 0


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, alone: Alone) -> Iterator[Api]:
    root = tmp_path_factory.mktemp("models")
    make(root / "voices" / "mms-tts-eng")
    models = {
        "transformers_model": str(CHECKPOINT.parent / "transformers"), "whisper_languages": "en,vi",
        "vits_model": str(root / "voices"), "vits_threads": "1", "demucs_model": str(FOLDER),
        "database": f"sqlite+aiosqlite:///{root}/voxline.db", "redis_url": "",  # whatever the other tests run on
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patch:
        for name in HUSH:
            patch.delenv(name, raising=False)
        with alone.inside():
            server = serving.serve(root, **models)
            api = server.__enter__()
    try:
        yield api
    finally:
        server.__exit__(None, None, None)


@pytest.fixture(scope="module")
def client(api: Api, alone: Alone) -> Iterator[httpx.Client]:
    person = api.person()
    api.people.append(person)
    options: dict[str, Any] = {"headers": person.bearer, "timeout": _PATIENCE_S, "transport": alone.transport()}
    with httpx.Client(base_url=api.base, **options) as client:
        yield client


@pytest.fixture(scope="module")
def talk() -> Recording:
    return record(held_out_sentences("en", 3, seed=5), pause=1.2)


@pytest.fixture(scope="module")
def mix() -> Mix:
    return held_out_mixes(1, 10.0)[0]


def flac(sound: npt.NDArray[Any], rate: int = RATE) -> dict[str, tuple[str, bytes]]:
    """A file, as a form takes it."""
    file = io.BytesIO()
    soundfile.write(file, sound, rate, format="FLAC")
    return {"audio_file": ("sound.flac", file.getvalue())}


def upload(talk: Recording) -> dict[str, tuple[str, bytes]]:
    return flac(np.frombuffer(talk.pcm, "<i2"))


def said(talk: Recording) -> str:
    return " ".join(utterance.text for utterance in talk.utterances)


def states(client: httpx.Client) -> dict[str, str]:
    return {row["owned_by"]: row["state"] for row in client.get("/v1/models").json()["data"]}


def check_cues(text: str, talk: Recording) -> None:
    """A cue for each sentence, with its words, when it is said."""
    cues = pysrt.from_string(text)
    for cue, utterance in zip(cues, talk.utterances, strict=True):
        assert word_errors(utterance.text, cue.text) <= 1
        assert cue.start.ordinal / 1000 == pytest.approx(utterance.start, abs=0.4)
        assert cue.end.ordinal / 1000 == pytest.approx(utterance.end, abs=0.6)


# -- speech to text ------------------------------------------------------------------------------------


def test_v1_is_done_by_transformers_with_the_right_words_at_the_right_times(
    client: httpx.Client, talk: Recording
) -> None:
    assert states(client)["transformers"] == "on_demand"
    reply = client.post("/api/v1/stt", files=upload(talk))
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert word_errors(said(talk), body["text"]) <= 1
    assert (body["engine"], body["language"]) == ("transformers", "english")
    assert states(client)["transformers"] == "loaded"
    starts = []
    for form, name in (("srt", "transcription.srt"), ("vtt", "subtitles.vtt")):
        written = client.post("/api/v1/stt", files=upload(talk), data={"language": "english", "output_format": form})
        assert written.headers["x-engine"] == "transformers"
        assert name in written.headers["content-disposition"]
        starts.append(re.findall(r"(\d\d:\d\d:\d\d)[.,](\d{3}) -->", written.text))
    assert starts[0] == starts[1]
    check_cues(client.get(body["srt_url"]).text, talk)


def test_v2_is_done_by_faster_whisper_and_says_the_same_at_the_same_times(
    client: httpx.Client, talk: Recording
) -> None:
    job = client.post("/api/v2/stt", files=upload(talk)).json()
    done = settled(client, f"/api/v1/job/{job['job_id']}")
    assert done["engine"] == "faster-whisper"
    assert word_errors(said(talk), done["text"]) <= 1
    check_cues(client.get(done["srt_url"]).text, talk)


async def test_live_is_done_by_faster_whisper_and_says_the_same(
    api: Api, client: httpx.Client, alone: Alone, talk: Recording
) -> None:
    config = {"language": "en", "word_timestamps": True}
    with alone.inside():  # for as long as it takes: the socket is opened somewhere on the way
        ws = api.base.replace("http", "ws", 1)
        heard = await hear(ws, api.people[0].key, [talk.pcm], config=config, pace=4 * RATE)
    heard.check()
    assert heard.messages[0]["engine"] == "faster-whisper"
    assert word_errors(said(talk), heard.text) <= 1
    for final, utterance in zip(heard.finals, talk.utterances, strict=True):
        assert final["words"][0]["start"] == pytest.approx(utterance.start, abs=0.4)
        assert final["words"][-1]["end"] == pytest.approx(utterance.end, abs=0.4)


def sounds() -> dict[str, npt.NDArray[np.float32]]:
    """Six seconds each of what nobody said."""
    times = np.arange(6 * RATE) / RATE
    random = np.random.default_rng(5)
    found = {
        "silence": np.zeros(len(times)),
        "noise": 0.02 * random.standard_normal(len(times)),
        "hum": sum(0.1 / order * np.sin(2 * np.pi * 50 * order * times + order) for order in (1, 2, 3, 5)),
        "music": 0.5 * music(6.0, random).mean(axis=1),
        "other music": 0.5 * music(6.0, np.random.default_rng(8)).mean(axis=1),
    }
    return {name: np.asarray(sound, np.float32) for name, sound in found.items()}


@pytest.mark.parametrize("name", sounds())
def test_there_is_no_text_in_what_nobody_said(client: httpx.Client, name: str) -> None:
    """Nor are Whispers talked into one where the detector is switched off, music apart: so small a model sings."""
    file = flac(sounds()[name])
    v1 = client.post("/api/v1/stt", files=file, data={"language": "english"}).json()
    assert (v1["engine"], v1["text"]) == ("transformers", "")
    for detector in ("true", "false") if "music" not in name else ("true",):
        job = client.post("/api/v2/stt", files=file, data={"language": "english", "vad_filter": detector}).json()
        done = settled(client, f"/api/v1/job/{job['job_id']}")
        assert (done["engine"], done["text"]) == ("faster-whisper", ""), f"with vad_filter={detector}"


# -- text to speech ------------------------------------------------------------------------------------


def speaker(reply: httpx.Response) -> str:
    assert reply.status_code == 200, reply.text
    assert float(reply.headers["x-duration-secs"]) > 0.3
    return reply.headers["x-engine"]


def test_who_speaks(client: httpx.Client) -> None:
    """Auto: the model where it knows the language; a description: the engine that follows one."""
    english = {"text": "Hello world, this is a voice.", "language": "english"}
    assert speaker(client.post("/api/v1/tts/auto", data=english)) == "vits"
    french = {"text": "Bonjour tout le monde.", "language": "french"}
    assert speaker(client.post("/api/v1/tts/auto", data=french)) == "espeak-ng"
    described = client.post("/api/v1/tts/design", data={**english, "gender": "female"})
    assert speaker(described) == "espeak-ng"


def test_a_models_voices_are_listed_and_speak_in_the_synchronous_call(client: httpx.Client) -> None:
    listed = client.get("/v1/voices", params={"language": "en"}).json()["voices"]
    assert "vits-en" in {voice["id"] for voice in listed}
    request = {"text": "Hello world.", "voiceCode": "vits-en", "outputFormat": "wav", "mode": "sync"}
    reply = client.post("/v1/tts", json=request, headers={"App-Id": "test"})
    assert reply.status_code == 200, reply.text
    assert reply.headers["x-engine"] == "vits" and reply.content[:4] == b"RIFF"


# -- separation ----------------------------------------------------------------------------------------


def downloaded(client: httpx.Client, url: str) -> Sound:
    """A stem as it was downloaded."""
    reply = client.get(url)
    assert (reply.status_code, reply.headers["content-type"]) == (200, "audio/mpeg")
    sound, rate = soundfile.read(io.BytesIO(reply.content), dtype="float32")
    assert (rate, sound.shape[1]) == (_FILE_RATE, 2)
    return np.asarray(sound, np.float32)


def gain(true: Sound, mix: Mix, found: Sound) -> float:
    """How many dB of SI-SDR a downloaded stem is better than the mix, without the codec's lag."""
    wanted = np.asarray(soxr.resample(true, RATE, _FILE_RATE), np.float32)
    part, span = wanted[:, 0], 4 * _FILE_RATE
    scores = [float(part[span : 2 * span] @ found[span + lag : 2 * span + lag, 0]) for lag in range(3000)]
    lag = int(np.argmax(scores))
    common = min(len(wanted), len(found) - lag)
    return si_sdr(wanted[:common], found[lag : lag + common]) - si_sdr(true, mix.voice + mix.music)


def test_a_song_becomes_its_voice_and_its_music_and_demucs_is_named(client: httpx.Client, mix: Mix) -> None:
    asked = client.post("/api/v1/audio-separate", files=flac(mix.voice + mix.music), data={"mode": "all"})
    assert asked.status_code == 200, asked.text
    done = settled(client, f"/api/v1/job/{asked.json()['job_id']}", patience_s=300)  # its engine gives way to all else
    assert (done["status"], done["engine"]) == ("completed", "demucs"), done
    assert gain(mix.voice, mix, downloaded(client, done["vocals_url"])) > 4.0
    assert gain(mix.music, mix, downloaded(client, done["instrumental_url"])) > 3.0

