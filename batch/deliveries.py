"""Delivers what is in the outbox: when, how often, how many at once, and what follows from an answer."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable

from sqlalchemy.exc import SQLAlchemyError

from batch.addresses import read_url
from batch.dispatch import WEBHOOKS, Dispatch, Ear
from batch.outbox import Outbox, State, Webhook
from batch.signing import WebhookSecrets, signature_headers
from batch.webhooks import Answer, Sender
from protocol.errors import VoiceError

log = logging.getLogger("voxline.batch.webhooks")

# Seconds after a failed attempt until the next; with the first at once that makes ten (Standard Webhooks).
SCHEDULE = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)

_JITTER = 0.1
_AT_ONCE, _PER_USER = 16, 2
POLL_S = 1.0
_SUCCESS, _GONE = range(200, 300), 410


class Deliveries:
    """The delivery of all that is in the outbox, until it is stopped."""

    def __init__(
        self,
        outbox: Outbox,
        secrets: WebhookSecrets,
        sender: Sender,
        dispatch: Dispatch,
        *,
        now: Callable[[], float],
        chance: Callable[[], float] = random.random,
        poll_s: float = POLL_S,
    ) -> None:
        self._poll_s = poll_s
        self._outbox = outbox
        self._secrets = secrets
        self._sender = sender
        self._dispatch = dispatch
        self._now = now
        self._chance = chance
        self._active: dict[str, int] = {}  # webhook to user
        self._stopping = False

    async def run(self) -> None:
        """Deliver until ``stop``, and finish what is under way then; when cancelled, give it back."""
        with self._dispatch.listening(WEBHOOKS) as ear:
            async with asyncio.TaskGroup() as attempts:
                while not self._stopping:
                    for sent in await self._take():
                        self._active[sent.id] = sent.user_id
                        attempts.create_task(self._deliver(sent, ear))
                    await ear.wait(self._poll_s)

    def stop(self) -> None:
        """Begin no more attempts."""
        self._stopping = True
        self._dispatch.announce(WEBHOOKS)

    async def attempt(self, sent: Webhook) -> State:
        """One attempt and what follows from it."""
        try:
            target = read_url(sent.url, allow_private=self._sender.allow_private)
        except VoiceError:  # the rules were others when it was accepted
            await self._outbox.settle(sent, State.FAILED, 0)
            return State.FAILED
        body = sent.body.encode()
        headers = signature_headers(await self._secrets.of(sent.user_id), sent.id, body, self._now())
        answer = await self._sender.post(target, headers, body)
        state, wait = self._judge(sent, answer)
        await self._outbox.settle(sent, state, answer.status, retry_in=wait)
        log.info("webhook", extra={"id": sent.id, "attempt": sent.attempt, "status": answer.status, "state": state})
        return state

    def _judge(self, sent: Webhook, answer: Answer) -> tuple[State, float]:
        if answer.status in _SUCCESS:
            return State.DELIVERED, 0.0
        if answer.status == _GONE:
            return State.GONE, 0.0
        if sent.attempt > len(SCHEDULE):
            return State.FAILED, 0.0
        delay = SCHEDULE[sent.attempt - 1] * (1 + _JITTER * (2 * self._chance() - 1))
        return State.PENDING, max(delay, answer.retry_after)

    async def _take(self) -> Iterable[Webhook]:
        free = _AT_ONCE - len(self._active)
        if free <= 0:
            return ()
        try:
            return await self._outbox.take(free, per_user=_PER_USER, busy=set(self._active.values()))
        except (VoiceError, SQLAlchemyError, OSError):
            log.exception("the outbox cannot be read now")
            return ()

    async def _deliver(self, sent: Webhook, ear: Ear) -> None:
        try:
            await self.attempt(sent)
        except asyncio.CancelledError:
            await self._give_back(sent)
            raise
        except Exception:  # it stays taken, and is due again after its lease; the others go on
            log.exception("what came of a webhook cannot be stored now", extra={"id": sent.id})
        finally:
            del self._active[sent.id]
            ear.hear()

    async def _give_back(self, sent: Webhook) -> None:
        try:
            await self._outbox.give_back(sent)
        except (VoiceError, SQLAlchemyError, OSError):
            log.exception("a webhook cannot be given back", extra={"id": sent.id})
