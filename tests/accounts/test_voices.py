"""Saved voices: designs and clones, each user's own, so many for each."""

import asyncio

import pytest

from accounts.limits import LimitsOf
from accounts.policy import Policies
from accounts.store import Store
from accounts.voices import MAX_REFERENCE_BYTES, SavedVoices
from protocol.errors import Code, VoiceError
from protocol.work import VoiceDesign
from tests.accounts.conftest import Clock, add_user

DESIGN = VoiceDesign(gender="female", age="young adult", style="cheerful")


@pytest.fixture
def voices(store: Store, clock: Clock) -> SavedVoices:
    policies = Policies(store, now=clock, tick=clock)
    return SavedVoices(store, LimitsOf(store, policies, tick=clock), now=clock)


async def test_a_design_is_kept_with_its_words(voices: SavedVoices, ann: int, clock: Clock) -> None:
    voice = await voices.save_design(ann, " Mai ", DESIGN, language="vi")
    assert (voice.name, voice.type, voice.language, voice.created_at) == ("Mai", "design", "vi", clock.time)
    assert voice.instruct == "female, young adult, cheerful" and VoiceDesign.model_validate_json(voice.design) == DESIGN
    assert await voices.get(ann, voice.id) == voice and await voices.of(ann) == [voice]
    assert await voices.reference(ann, voice.id) is None
    described = await voices.save_design(ann, "x", VoiceDesign(gender="male", instruct="an old\nfisherman"))
    assert described.instruct == "an oldfisherman" and described.language == "auto"


async def test_a_clone_is_kept_with_its_sound(voices: SavedVoices, ann: int) -> None:
    voice = await voices.save_clone(ann, "me", b"fLaC\x00\xff", language="en")
    assert (voice.type, voice.instruct, voice.design) == ("clone", "", "")
    assert await voices.reference(ann, voice.id) == b"fLaC\x00\xff"


async def test_a_full_quota_is_a_conflict_however_many_come_at_once(voices: SavedVoices, ann: int) -> None:
    """A32, A33."""
    answers = await asyncio.gather(*(voices.save_design(ann, "v", DESIGN) for _ in range(6)), return_exceptions=True)
    refused = [answer for answer in answers if isinstance(answer, VoiceError)]
    assert len(refused) == 3 and {error.code for error in refused} == {Code.CONFLICT}
    first, *_ = await voices.of(ann)
    await voices.delete(ann, first.id)
    assert await voices.save_clone(ann, "room again", b"x")


async def test_a_plan_without_a_limit_has_none(voices: SavedVoices, store: Store) -> None:
    owner = await add_user(store, "owner@localhost", plan="owner")
    for _ in range(5):
        await voices.save_design(owner, "v", DESIGN)
    assert len(await voices.of(owner)) == 5


async def test_a_voice_is_its_user_s_alone(voices: SavedVoices, ann: int, bob: int) -> None:
    """P9: what belongs to somebody else is not found."""
    voice = await voices.save_clone(ann, "hers", b"x")
    assert await voices.of(bob) == []
    for voice_id in (voice.id, 0, -1, 99, 2**31, 10**30):
        for attempt in (voices.get(bob, voice_id), voices.reference(bob, voice_id), voices.delete(bob, voice_id),
                        voices.rename(bob, voice_id, "his")):  # fmt: skip
            with pytest.raises(VoiceError) as caught:
                await attempt
            assert caught.value.code is Code.NOT_FOUND
    assert await voices.get(ann, voice.id) == voice


async def test_a_voice_can_be_renamed(voices: SavedVoices, ann: int) -> None:
    voice = await voices.save_design(ann, "old", DESIGN)
    await voices.rename(ann, voice.id, "new")
    assert (await voices.get(ann, voice.id)).name == "new"


async def test_what_is_no_voice_is_refused(voices: SavedVoices, ann: int) -> None:
    for attempt, field in ((voices.save_design(ann, " \x00", DESIGN), "name"),
                           (voices.save_design(ann, "x", VoiceDesign()), "instruct"),
                           (voices.save_clone(ann, "x", b""), "ref_audio"),
                           (voices.save_clone(ann, "x", bytes(MAX_REFERENCE_BYTES + 1)), "ref_audio")):  # fmt: skip
        with pytest.raises(VoiceError) as caught:
            await attempt
        assert caught.value.facts["field"] == field
    assert await voices.of(ann) == []
