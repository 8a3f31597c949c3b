"""Artifacts: nobody sees half a file, nobody finds one by guessing, and nothing stays behind."""

import errno
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import insert, update

from accounts.schema import artifact, job
from accounts.store import Store
from batch.artifacts import Artifact, Artifacts, Swept
from batch.disk import Watermark, commit_file
from protocol.errors import Code, VoiceError
from tests.batch.clocks import Clock
from tests.batch.disks import grow, small_disk
from tests.batch.rows import make_job, make_user

NO_WATERMARK = Watermark(share=0, least=0, most=0)
DAY = 86400.0


@dataclass
class Output:
    role: str
    path: Path


def artifacts_in(directory: Path, store: Store, clock: Clock) -> Artifacts:
    return Artifacts(directory, store, now=clock, choice=secrets.choice, watermark=NO_WATERMARK)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def files(tmp_path: Path, store: Store, clock: Clock) -> Artifacts:
    return artifacts_in(tmp_path / "artifacts", store, clock)


def output(directory: Path, name: str, data: bytes = b"sound", role: str = "audio") -> Output:
    path = directory / name
    path.write_bytes(data)
    return Output(role, path)


async def published(
    files: Artifacts,
    store: Store,
    *outputs: Output,
    kind: str = "tts",
    lifetime_s: float = DAY,
    user: int | None = None,
) -> tuple[Artifact, ...]:
    """Files of a finished job."""
    user_id = await make_user(store) if user is None else user
    job_id = await make_job(store, user_id)
    made = await files.publish(outputs, kind=kind, job_id=job_id, user_id=user_id, lifetime_s=lifetime_s)
    async with store.write() as connection:
        await connection.execute(insert(artifact), [each.values() for each in made])
    return made


async def refused(files: Artifacts, name: str) -> Code:
    with pytest.raises(VoiceError) as caught:
        await files.open(name)
    return caught.value.code


async def contents(files: Artifacts, name: str) -> bytes:
    found = await files.open(name)
    with found.file:
        return found.file.read()


def places(directory: Path) -> list[str]:
    return sorted(str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file())


async def test_a_file_is_found_once_its_job_is_finished_and_not_before(
    files: Artifacts, store: Store, tmp_path: Path
) -> None:
    user = await make_user(store)
    job_id = await make_job(store, user)
    outputs = (output(tmp_path, "speech.wav"),)
    (made,) = await files.publish(outputs, kind="tts", job_id=job_id, user_id=user, lifetime_s=DAY)
    assert await refused(files, made.name) is Code.NOT_FOUND
    async with store.write() as connection:
        await connection.execute(insert(artifact).values(made.values()))
    assert await contents(files, made.name) == b"sound"
    assert made.made().model_dump() == {"role": "audio", "name": made.name, "media_type": "audio/wav", "size": 5}
    assert not outputs[0].path.exists(), "it was moved, not copied"
    assert await files.of_job(job_id) == (made,)


async def test_names_are_those_of_the_document(files: Artifacts, store: Store, tmp_path: Path) -> None:
    """A26: sep_*_vocals.mp3, sep_*_instrumental.mp3, stt_*.srt."""
    stems = [output(tmp_path, f"{role}.mp3", role=role) for role in ("vocals", "instrumental")]
    vocals, instrumental = await published(files, store, *stems, kind="sep")
    body = vocals.name.removeprefix("sep_").removesuffix("_vocals.mp3")
    assert (len(body), body.isalnum()) == (22, True)
    assert instrumental.name == f"sep_{body}_instrumental.mp3"
    texts = [output(tmp_path, f"a.{kind}", role=kind) for kind in ("srt", "vtt", "txt", "json")]
    made = await published(files, store, *texts, kind="stt")
    assert [each.name.rpartition(".")[2] for each in made] == ["srt", "vtt", "txt", "json"]
    assert len({each.name.partition(".")[0] for each in made}) == 1


async def test_two_files_of_one_name_are_a_bug_that_is_seen(files: Artifacts, store: Store, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one name"):
        await published(files, store, output(tmp_path, "a.wav"), output(tmp_path, "b.wav", role="backing"))
    assert not places(tmp_path / "artifacts")


# -- X4 ----------------------------------------------------------------------------------------------


def traversals(name: str) -> Iterator[str]:
    """200 ways to ask for something else, some of them around a name that exists."""
    steps = (
        "..",
        ".",
        "%2e%2e",
        "..%2f",
        "%2f",
        "\\",
        "..\\",
        "..;",
        "\u2025",
        "\uff0e\uff0e",
        "%c0%ae",
        "\x00",
        "~",
        "//",
    )
    targets = ("etc/passwd", "voxline.db", f"made/{name}", name, "work", "tts_.wav", "")
    for step in steps:
        for target in targets:
            yield f"{step}/{target}"
            yield f"{step}{target}"
    yield from (
        f"{name}{tail}" for tail in ("\x00", "\x00.txt", "/", "/.", " ", ".", "%00", "\n", "?", "#", ".exe", "::$DATA")
    )
    yield from (f"{head}{name}" for head in ("/", "./", " ", "\x00", "file://", "made/", "_", "-", "T"))
    yield from (
        "",
        ".",
        "..",
        "tts_.wav",
        "tts_" + "a" * 21 + ".wav",
        "tts_" + "a" * 23 + ".wav",
        "tts_" + "é" * 22 + ".wav",
    )
    yield from (name.upper(), name.replace("_", "-"), name.replace(".wav", ".html"), name.replace(".wav", ""))
    yield from ("a" * 100_000, "٣" * 22, "tts_" + "٣" * 22 + ".wav")


async def test_only_a_whole_name_finds_a_file(files: Artifacts, store: Store, tmp_path: Path) -> None:
    """X4: 200 traversal strings."""
    (made,) = await published(files, store, output(tmp_path, "a.wav"))
    asked = [name for name in traversals(made.name) if name != made.name]
    assert len(asked) >= 200
    for name in asked:
        assert await refused(files, name) is Code.NOT_FOUND, name
    assert await contents(files, made.name) == b"sound"


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.nightly)])
async def test_a_guess_finds_nothing(files: Artifacts, store: Store, tmp_path: Path, count: int) -> None:
    """X4: 1,000 guessed names."""
    await published(files, store, output(tmp_path, "a.wav"))
    for number in range(count):
        assert await refused(files, f"tts_{number:022}.wav") is Code.NOT_FOUND


async def test_a_link_in_place_of_a_file_is_not_followed(files: Artifacts, store: Store, tmp_path: Path) -> None:
    """X4: however it came there."""
    (made,) = await published(files, store, output(tmp_path, "a.wav"))
    place = tmp_path / "artifacts" / "made" / made.name
    place.unlink()
    place.symlink_to("/etc/passwd")
    assert await refused(files, made.name) is Code.GONE


# -- their time --------------------------------------------------------------------------------------


async def test_after_its_time_a_file_is_gone_and_says_so(
    files: Artifacts, store: Store, tmp_path: Path, clock: Clock
) -> None:
    (short,) = await published(files, store, output(tmp_path, "a.wav"), lifetime_s=60)
    (long,) = await published(files, store, output(tmp_path, "b.wav"), lifetime_s=120)
    clock.time += 60
    assert await refused(files, short.name) is Code.GONE
    assert (await files.sweep()).expired == 1
    assert places(tmp_path / "artifacts") == [f"made/{long.name}"]
    assert await refused(files, short.name) is Code.GONE
    assert (await files.of_job(short.job_id))[0].removed_at == clock.time
    assert await contents(files, long.name) == b"sound"
    assert await files.sweep() == Swept(0, 0, 0)


async def test_a_file_being_read_stays_readable_when_it_is_swept(
    files: Artifacts, store: Store, tmp_path: Path, clock: Clock
) -> None:
    (made,) = await published(files, store, output(tmp_path, "a.wav"), lifetime_s=60)
    found = await files.open(made.name)
    clock.time += 60
    await files.sweep()
    with found.file:
        assert found.file.read() == b"sound"


async def test_files_without_a_row_are_swept_after_an_hour(
    files: Artifacts, store: Store, tmp_path: Path, clock: Clock
) -> None:
    """A worker was killed between the rename and the transaction."""
    (kept,) = await published(files, store, output(tmp_path, "a.wav"))
    user = await make_user(store)
    job_id = await make_job(store, user)
    lost = await files.publish([output(tmp_path, "b.wav")], kind="tts", job_id=job_id, user_id=user, lifetime_s=DAY)
    for each, age in ((kept, 7200), (lost[0], 3500)):
        os.utime(tmp_path / "artifacts" / "made" / each.name, times=(clock.time - age,) * 2)
    assert (await files.sweep()).orphans == 0, "its transaction may still come"
    clock.time += 200
    assert (await files.sweep()).orphans == 1
    assert places(tmp_path / "artifacts") == [f"made/{kept.name}"]


async def test_what_lost_against_another_attempt_is_discarded(files: Artifacts, store: Store, tmp_path: Path) -> None:
    user = await make_user(store)
    job_id, outputs = await make_job(store, user), [output(tmp_path, "a.wav")]
    made = await files.publish(outputs, kind="tts", job_id=job_id, user_id=user, lifetime_s=DAY)
    await files.discard(made)
    await files.discard(made)
    assert not places(tmp_path / "artifacts")


async def test_what_won_is_not_discarded_by_mistake(files: Artifacts, store: Store, tmp_path: Path) -> None:
    """Found by reading: the commit came through, its confirmation did not, and asked again the fence said no."""
    made = await published(files, store, output(tmp_path, "a.wav"))
    await files.discard(made)
    assert await contents(files, made[0].name) == b"sound"


# -- attempts ----------------------------------------------------------------------------------------


async def test_an_attempt_works_in_an_empty_directory_that_goes_with_it(files: Artifacts, tmp_path: Path) -> None:
    async with files.temporary("job1", 1) as directory:
        (directory / "half.wav").write_bytes(b"half")
        async with files.temporary("job1", 2) as other:
            assert not list(other.iterdir())
    assert not list((tmp_path / "artifacts" / "work").iterdir())
    with pytest.raises(ValueError, match="no job"):
        async with files.temporary("../job1", 1):
            pass


async def test_directories_of_attempts_that_run_no_more_are_swept(
    files: Artifacts, store: Store, tmp_path: Path, clock: Clock
) -> None:
    work, job_id = tmp_path / "artifacts" / "work", await make_job(store, await make_user(store))
    async with store.write() as connection:
        await connection.execute(update(job).where(job.c.id == job_id).values(status="processing", attempt=2))
    for name, age in ((f"{job_id}.1", 4000), (f"{job_id}.2", 4000), ("gone.1", 4000), ("new.1", 10), ("strange", 4000)):
        (work / name).mkdir()
        os.utime(work / name, times=(clock.time - age,) * 2)
    assert (await files.sweep()).directories == 3
    assert sorted(each.name for each in work.iterdir()) == [f"{job_id}.2", "new.1"]


# -- room --------------------------------------------------------------------------------------------


async def test_a_user_has_room_for_what_his_plan_says(
    files: Artifacts, store: Store, tmp_path: Path, clock: Clock
) -> None:
    user, other = await make_user(store), await make_user(store)
    big = bytes(1024 * 1024)
    await published(files, store, output(tmp_path, "a.wav", big), user=user, lifetime_s=100)
    await files.check_room(user, 2)
    await published(files, store, output(tmp_path, "b.wav", big), user=user, lifetime_s=300)
    assert await files.used(user) == 2 * len(big)
    await files.check_room(other, 1)
    await files.check_room(user, 0)
    with pytest.raises(VoiceError) as caught:
        await files.check_room(user, 2)
    assert caught.value.code is Code.RATE_LIMITED
    assert caught.value.facts == {"maximum_mb": 2, "retry_after": 100}
    clock.time += 100
    await files.check_room(user, 2)


async def test_under_the_watermark_nothing_is_begun(store: Store, tmp_path: Path, clock: Clock) -> None:
    full = Artifacts(
        tmp_path / "a", store, now=clock, choice=secrets.choice, watermark=Watermark(least=1 << 60, most=1 << 60)
    )
    with pytest.raises(VoiceError) as caught:
        async with full.temporary("job1", 1):
            pass
    assert (caught.value.code, caught.value.facts) == (Code.STORAGE_FULL, {"retry_after": 60})


async def test_files_are_published_all_or_none(
    files: Artifacts, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R6: the disk fills up between the first file of a job and the second."""

    def full(path: Path, place: Path) -> None:
        if path.suffix == ".vtt":
            raise OSError(errno.ENOSPC, "No space left on device")
        commit_file(path, place)

    monkeypatch.setattr("batch.artifacts.commit_file", full)
    outputs = [output(tmp_path, f"a.{kind}", role=kind) for kind in ("srt", "vtt")]
    with pytest.raises(VoiceError) as caught:
        await published(files, store, *outputs)
    assert caught.value.code is Code.STORAGE_FULL
    assert not places(tmp_path / "artifacts")


async def test_a_full_disk_stops_work_and_more_room_lets_it_go_on(store: Store, tmp_path: Path, clock: Clock) -> None:
    """R6: no half file is served, and nothing has to be started again."""
    with small_disk(tmp_path / "disk", 600) as disk:
        files = artifacts_in(disk, store, clock)
        with pytest.raises(VoiceError) as caught:
            async with files.temporary("job1", 1) as directory:
                (directory / "a.wav").write_bytes(bytes(1024 * 1024))
        assert caught.value.code is Code.STORAGE_FULL
        assert not places(disk)
        async with files.temporary("job1", 2) as directory:
            grow(disk, 4000)
            (made,) = await published(files, store, output(directory, "a.wav", bytes(1024 * 1024)))
        assert len(await contents(files, made.name)) == 1024 * 1024
