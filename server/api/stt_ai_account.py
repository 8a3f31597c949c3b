"""Seed C's account (C22): who one is, one's keys, what was used, and private clouds, of which there are none here."""

from collections.abc import Callable
from typing import TypeVar

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from accounts.keys import PREFIX as KEY_PREFIX
from accounts.keys import Key
from accounts.users import rename
from batch.callers import Caller
from batch.transcripts import Transcripts
from protocol.checking import check
from protocol.dialects.stt_ai import account as wire
from protocol.errors import Code, VoiceError
from protocol.moments import iso_moment
from server.accounts import Accounts
from server.api.exchange import Exchange
from server.api.json_bodies import read_json
from server.api.stt_ai import PREFIX

_BODY_BYTES = 64 * 1024
_DAY_S = 86_400
M = TypeVar("M", bound=BaseModel)


class SttAiAccount:
    """The routes. ``now`` is the time of day."""

    def __init__(
        self, exchange: Exchange, accounts: Accounts, kept: Transcripts, *, now: Callable[[], float]
    ) -> None:
        self._exchange = exchange
        self._accounts = accounts
        self._kept = kept
        self._now = now

    def routes(self) -> list[BaseRoute]:
        """With a slash at the end as the document has it, and without; by the document's path and under the prefix."""
        table = {
            "/api/v1/account": (self._account, ["GET", "PATCH", "PUT", "POST"]),
            "/api/v1/keys": (self._keys, ["GET", "POST"]),
            "/api/v1/keys/{id:int}": (self._revoke, ["DELETE"]),
            "/api/v1/usage": (self._usage, ["GET"]),
            "/api/v1/cloud": (self._cloud, ["GET"]),
        }
        return [
            Route(prefix + path + end, handler, methods=methods)
            for prefix in ("", PREFIX)
            for path, (handler, methods) in table.items()
            for end in ("/", "")
        ]

    async def _account(self, request: Request) -> Response:
        """What there is to know of the account; anything but GET changes its name first."""
        caller = await self._exchange.caller(request, reading=True)
        if request.method not in ("GET", "HEAD"):
            asked = await self._asked(request, wire.AccountChange)
            if asked.name is not None:
                await rename(self._accounts.store, caller.user_id, asked.name)
        return JSONResponse(await self._told(caller))

    async def _keys(self, request: Request) -> Response:
        """All keys; POST makes one, and shows it this once."""
        caller = await self._exchange.caller(request, reading=request.method != "POST")
        if request.method != "POST":
            return JSONResponse([_row(key) for key in await self._accounts.keys.of(caller.user_id)])
        _must_be_lasting(caller)
        asked = await self._asked(request, wire.NewKey)
        secret, key = await self._accounts.keys.create(asked.name, user_id=caller.user_id)
        return JSONResponse(_row(key) | {"key": secret}, 201, {"cache-control": "no-store"})

    async def _revoke(self, request: Request) -> Response:
        """A key opens nothing any more."""
        caller = await self._exchange.caller(request, reading=True)
        _must_be_lasting(caller)
        await self._accounts.keys.delete(request.path_params["id"], user_id=caller.user_id)
        return Response(status_code=204)

    async def _usage(self, request: Request) -> Response:
        """Thirty days: credits as the ledger has them, and recordings."""
        caller = await self._exchange.caller(request, reading=True)
        today = int(self._now() // _DAY_S)
        since = float((today - wire.DAYS + 1) * _DAY_S)
        async with self._accounts.store.read() as connection:
            spent = await self._accounts.ledger.usage(connection, caller.user_id, since)
        sent = await self._kept.lengths(caller.user_id, since)
        return JSONResponse(wire.usage(today, spent, sent))

    async def _cloud(self, request: Request) -> Response:
        """This server is private as it is."""
        await self._exchange.caller(request, reading=True)
        return JSONResponse([])

    # -- inside ----------------------------------------------------------------------------------

    async def _told(self, caller: Caller) -> dict[str, object]:
        user, plan = await self._accounts.users.get(caller.user_id), caller.plan
        return wire.AccountReply(
            id=user.id,
            email=user.email,
            name=user.name,
            plan=user.plan,
            credits=await self._exchange.service.balance(user.id),
            minutes_used=await self._kept.minutes(user.id),
            limits=wire.Limits(
                requests_per_minute=plan.requests_per_minute,
                jobs_at_once=plan.jobs,
                file_mb=plan.recording_mb,
                minutes_per_month=plan.minutes_per_month,
            ),
            email_preferences={},
            created_at=iso_moment(user.created_at),
        ).model_dump()

    async def _asked(self, request: Request, model: type[M]) -> M:
        return check(model, await read_json(request, most=_BODY_BYTES))


def _row(key: Key) -> dict[str, object]:
    return wire.key_row(key.id, key.name, KEY_PREFIX, key.last4, key.state.value, key.created_at)


def _must_be_lasting(caller: Caller) -> None:
    """Who holds a token that ends must not make of it, or take away, a key that does not."""
    if not caller.by_key:
        raise VoiceError(Code.FORBIDDEN, "Only an API key of the account may do this, not a token.")
