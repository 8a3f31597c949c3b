"""What an admin changes while the server runs: plans, prices, caps, defaults. One row, read again each second.

Only what was changed is stored, and it is laid over the defaults of the version that runs; so a later version's new
settings and better defaults reach servers whose admin changed something else. 0 means "no limit" in a plan.
"""

import json
from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from sqlalchemy import select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from accounts.remembered import Remembered
from accounts.schema import policy
from accounts.store import Store
from protocol.errors import Code, VoiceError
from protocol.pricing import PriceTable

Patch = Mapping[str, Any]
_ROW = 1
_FIRST = text("INSERT INTO policy (id, document, changed_at) VALUES (:id, '{}', :at) ON CONFLICT DO NOTHING")


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Plan(_Model):
    """What a user may do at once and in a while; 0 = no limit."""

    requests_per_minute: int = Field(default=10, ge=0)  # A3
    jobs: int = Field(default=2, ge=0)  # unfinished jobs at once (A4)
    sessions: int = Field(default=2, ge=0)  # live sessions at once
    voices: int = Field(default=3, ge=0)  # saved voices (A32)
    text_chars: int = Field(default=5000, ge=0)  # code points of one request's text
    storage_mb: int = Field(default=2048, ge=0)  # files kept for the user, MiB
    api: bool = True  # whether keys of the plan's users open the HTTP APIs (D22: "forbidden")
    recording_mb: int = Field(default=500, ge=0)  # a file sent to the API of seed C (C3), MiB
    minutes_per_month: int = Field(default=600, ge=0)  # of recordings that API transcribes (C3)


class Overrides(_Model):
    """What an admin set for one user in place of the plan's; None = as the plan says."""

    requests_per_minute: int | None = Field(default=None, ge=0)
    jobs: int | None = Field(default=None, ge=0)
    sessions: int | None = Field(default=None, ge=0)
    voices: int | None = Field(default=None, ge=0)
    text_chars: int | None = Field(default=None, ge=0)
    storage_mb: int | None = Field(default=None, ge=0)
    recording_mb: int | None = Field(default=None, ge=0)
    minutes_per_month: int | None = Field(default=None, ge=0)

    def over(self, plan: Plan) -> Plan:
        """The plan as it is for this user."""
        return plan.model_copy(update=self.model_dump(exclude_none=True))


class UploadCaps(_Model):
    """How large an uploaded file may be (A42, A55, A60): MiB, seconds of sound, cues; 0 = no limit."""

    audio_mb: int = Field(default=50, ge=0)
    audio_s: int = Field(default=2000, ge=0)
    video_mb: int = Field(default=100, ge=0)
    video_s: int = Field(default=1800, ge=0)
    separate_mb: int = Field(default=100, ge=0)
    separate_s: int = Field(default=1200, ge=0)
    srt_kb: int = Field(default=500, ge=0)
    srt_cues: int = Field(default=500, ge=0)


class SttV2(_Model):
    """What a v2 transcription does where the request does not say (A46, A52)."""

    model: str = "auto"
    compute_type: Literal["", "int8", "int8_float16", "float16", "bfloat16", "float32"] = ""  # "" = as the server's own
    beam_size: int = Field(default=5, ge=1, le=20)
    vad_filter: bool = True
    vad_threshold: float = Field(default=0.5, ge=0, le=1)
    temperature: float = Field(default=0.0, ge=0, le=1)
    initial_prompt: str = Field(default="", max_length=1000)
    word_timestamps: bool = True
    idle_unload_s: int = Field(default=60, ge=0)  # a batch model unused for so long is unloaded; 0 = never


_PAID: dict[str, Any] = {"recording_mb": 2048, "minutes_per_month": 0}  # C3
_PLANS = {
    "free": Plan(),
    "pro": Plan(requests_per_minute=60, jobs=5, sessions=5, voices=20, storage_mb=10_240, **_PAID),
    "enterprise": Plan(
        requests_per_minute=300, jobs=20, sessions=20, voices=200, text_chars=50_000, storage_mb=51_200, **_PAID
    ),
    "owner": Plan(requests_per_minute=0, jobs=0, sessions=0, voices=0, text_chars=50_000, storage_mb=0, **_PAID),
}


class Policy(_Model):
    """Everything an admin can set."""

    plans: dict[str, Plan] = Field(default_factory=lambda: dict(_PLANS))  # D2; "free" is A3, A4, A32
    default_plan: str = "free"  # of a new account
    starting_credits: int = Field(default=100_000, ge=0, le=10**12)  # granted to a new account
    prices: PriceTable = Field(default_factory=PriceTable)
    server_jobs: int = Field(default=5, ge=0)  # jobs in processing at once, all users together (A4)
    upload: UploadCaps = UploadCaps()
    stt_v2: SttV2 = SttV2()
    retention_hours: float = Field(default=24.0, gt=0, le=24 * 3650)  # of files made for users

    @model_validator(mode="after")
    def _default_plan_exists(self) -> "Policy":
        if self.default_plan not in self.plans:
            raise ValueError(f"default_plan: there is no plan {self.default_plan!r}; there are {', '.join(self.plans)}")
        return self

    def plan(self, name: str) -> Plan:
        """The plan of that name; the default one where an admin has taken it away."""
        return self.plans.get(name, self.plans[self.default_plan])


class Policies:
    """The policy in force. ``now`` is the time of day, ``tick`` a monotonic clock."""

    def __init__(self, store: Store, *, now: Callable[[], float], tick: Callable[[], float]) -> None:
        self._store = store
        self._now = now
        self._known = Remembered(self._look_up, tick=tick)

    async def current(self) -> Policy:
        """The policy, at most a second old."""
        found = await self._known.of(_ROW)
        assert found is not None
        return found

    async def _look_up(self, _row: int) -> Policy:
        async with self._store.read() as connection:
            changes = await _changes(connection)
        return _policy(changes)

    async def change(self, patch: Patch) -> Policy:
        """Set what ``patch`` names, at any depth; None takes a setting back to its default. BAD_REQUEST names the
        wrong field and leaves all as it was."""
        async with self._store.write() as connection:
            await connection.execute(_FIRST, {"id": _ROW, "at": self._now()})
            changes = _without_defaults(_laid_over(await _changes(connection, lock=True), patch))
            changed = _policy(changes)
            row = {"document": json.dumps(changes), "changed_at": self._now()}
            await connection.execute(update(policy).where(policy.c.id == _ROW).values(**row))
        self._known.forget()
        self._known.put(_ROW, changed)
        return changed


async def _changes(connection: AsyncConnection, *, lock: bool = False) -> dict[str, Any]:
    query = select(policy.c.document).where(policy.c.id == _ROW)
    document = (await connection.execute(query.with_for_update() if lock else query)).scalar_one_or_none()
    return cast(dict[str, Any], json.loads(document or "{}"))


def _policy(changes: Patch) -> Policy:
    """The defaults with these changes; BAD_REQUEST when they make no policy."""
    if not changes:
        return Policy()
    try:
        return Policy.model_validate(_laid_over(Policy().model_dump(mode="json"), changes))
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"] if part != "[key]") or "default_plan"
        message = first["msg"].removeprefix("Value error, ")
        if first["type"] == "extra_forbidden":
            message = "There is no such setting."
        raise VoiceError(Code.BAD_REQUEST, f"{field}: {message}", field=field) from None


def _laid_over(below: Patch, above: Patch) -> dict[str, Any]:
    merged = deepcopy(dict(below))
    for name, value in above.items():
        under = merged.get(name)
        merged[name] = _laid_over(under, value) if isinstance(under, dict) and isinstance(value, Mapping) else value
    return merged


def _without_defaults(changes: Patch) -> dict[str, Any]:
    """Changes with what was set to None left out."""
    kept = {}
    for name, value in changes.items():
        if isinstance(value, Mapping):
            if inner := _without_defaults(value):
                kept[name] = inner
        elif value is not None:
            kept[name] = value
    return kept
