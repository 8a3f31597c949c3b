"""Saved voices (CONTRACT A31-A33): designs in words and clones of a recording, so many for each user."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

from sqlalchemy import Row, delete, func, insert, select, update

from accounts.limits import LimitsOf
from accounts.names import clean_name, possible_id
from accounts.schema import user, voice
from accounts.store import Store
from protocol.errors import Code, VoiceError
from protocol.work import VoiceDesign

MAX_REFERENCE_BYTES = 4 << 20  # 30 s of 24 kHz FLAC are about 1 MiB
_WORDS = 500
_SHOWN = [column for column in voice.c if column.name != "reference"]


@dataclass(frozen=True, slots=True)
class SavedVoice:
    """A voice a user keeps."""

    id: int
    name: str
    type: Literal["design", "clone"]
    language: str
    instruct: str  # a design in words; "" for a clone
    design: str  # JSON of ``VoiceDesign``; "" for a clone
    created_at: float


class SavedVoices:
    """The voices of all users. ``now`` is the time of day."""

    def __init__(self, store: Store, limits: LimitsOf, *, now: Callable[[], float]) -> None:
        self._store = store
        self._limits = limits
        self._now = now

    async def of(self, user_id: int) -> list[SavedVoice]:
        """A user's voices, oldest first."""
        async with self._store.read() as connection:
            rows = await connection.execute(select(*_SHOWN).where(voice.c.user_id == user_id).order_by(voice.c.id))
            return [_voice(row) for row in rows]

    async def get(self, user_id: int, voice_id: int) -> SavedVoice:
        """NOT_FOUND for a voice that is not this user's."""
        query = select(*_SHOWN).where(voice.c.id == voice_id, voice.c.user_id == user_id)
        if possible_id(voice_id):
            async with self._store.read() as connection:
                if row := (await connection.execute(query)).one_or_none():
                    return _voice(row)
        raise _unknown(voice_id)

    async def reference(self, user_id: int, voice_id: int) -> bytes | None:
        """The sound a clone was made of, as it was given; None for a design. NOT_FOUND as in ``get``."""
        query = select(voice.c.reference).where(voice.c.id == voice_id, voice.c.user_id == user_id)
        if possible_id(voice_id):
            async with self._store.read() as connection:
                if row := (await connection.execute(query)).one_or_none():
                    return cast(bytes | None, row.reference)
        raise _unknown(voice_id)

    async def save_design(self, user_id: int, name: str, design: VoiceDesign, *, language: str = "auto") -> SavedVoice:
        """Keep a design. CONFLICT when the user has as many voices as he may."""
        words = design.instruct or ", ".join(filter(None, (design.gender, design.age, design.pitch, design.style)))
        if not (words := clean_name(words, _WORDS)):
            raise VoiceError(Code.BAD_REQUEST, "A voice needs a description.", field="instruct")
        kept = design.model_copy(update={"instruct": clean_name(design.instruct, _WORDS)})
        return await self._save(
            user_id, name, type="design", language=language, instruct=words, design=kept.model_dump_json()
        )

    async def save_clone(self, user_id: int, name: str, reference: bytes, *, language: str = "auto") -> SavedVoice:
        """Keep a clone, by the sound it is made of. CONFLICT when the user has as many voices as he may."""
        if not 0 < len(reference) <= MAX_REFERENCE_BYTES:
            message = f"The recording of a voice must be at most {MAX_REFERENCE_BYTES >> 20} MiB."
            raise VoiceError(Code.TOO_LARGE, message, field="ref_audio")
        return await self._save(
            user_id, name, type="clone", language=language, instruct="", design="", reference=reference
        )

    async def rename(self, user_id: int, voice_id: int, name: str) -> None:
        """NOT_FOUND as in ``get``."""
        await self._change(user_id, voice_id, update(voice).values(name=_checked(name)))

    async def delete(self, user_id: int, voice_id: int) -> None:
        """NOT_FOUND as in ``get``."""
        await self._change(user_id, voice_id, delete(voice))

    async def _save(self, user_id: int, name: str, **values: Any) -> SavedVoice:
        values |= {"user_id": user_id, "name": _checked(name), "created_at": self._now()}
        most = (await self._limits.of(user_id)).voices
        theirs = select(func.count()).select_from(voice).where(voice.c.user_id == user_id)
        async with self._store.write() as connection:
            await connection.execute(select(user.c.id).where(user.c.id == user_id).with_for_update())
            if most and (await connection.execute(theirs)).scalar_one() >= most:
                message = f"You have {most} saved voices, as many as you may; delete one first."
                raise VoiceError(Code.CONFLICT, message)
            return _voice((await connection.execute(insert(voice).values(**values).returning(*_SHOWN))).one())

    async def _change(self, user_id: int, voice_id: int, statement: Any) -> None:
        if possible_id(voice_id):
            async with self._store.write() as connection:
                theirs = statement.where(voice.c.id == voice_id, voice.c.user_id == user_id)
                if (await connection.execute(theirs)).rowcount:
                    return
        raise _unknown(voice_id)


def _checked(name: str) -> str:
    if not (cleaned := clean_name(name)):
        raise VoiceError(Code.BAD_REQUEST, "A voice needs a name.", field="name")
    return cleaned


def _unknown(voice_id: int) -> VoiceError:
    return VoiceError(Code.NOT_FOUND, f"There is no saved voice {voice_id}.", field="voice_id")


def _voice(row: Row[Any]) -> SavedVoice:
    return SavedVoice(row.id, row.name, row.type, row.language, row.instruct, row.design, row.created_at)
