"""Seed D's routes for speech: a text (D5, D6), a text in a cloned voice (D9), a turn of a conversation (D18)."""

import time
from collections.abc import Mapping
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import Response

from batch.conversations import DETAIL, Conversations
from batch.forms import URLENCODED
from batch.jobs import Job
from batch.media import MediaLimits
from batch.service import check_characters, check_length, fingerprint, idempotency_key
from batch.uploads import Upload
from protocol import pricing
from protocol.checking import read_form
from protocol.dialects.tts_ai.fields import Asked, read_json
from protocol.dialects.tts_ai.models import Kind, find, find_cloning
from protocol.dialects.tts_ai.recordings import REFERENCE_MB, STT_MB
from protocol.dialects.tts_ai.shapes import Task
from protocol.dialects.tts_ai.speech import ChatForm, CloneForm, TtsRequest
from protocol.errors import Code, VoiceError
from protocol.pricing import credits_text
from protocol.work import Conversing, VoiceNamed
from server.api.exchange import cap
from server.api.json_bodies import read_json as read_body
from server.api.mount import Mount
from server.api.tts_ai_desk import Client, Desk, Errand
from server.api.tts_ai_live import LiveSpeech, LiveText
from server.api.tts_ai_texts import needs
from server.api.tts_ai_voices import Voices
from stream.admission import Caller as LiveCaller
from stream.recital import Recital, clauses_of

_BODY_BYTES = 1 << 20  # 50,000 characters of the largest plan, written as JSON escapes, need 600 KB
_CLONE_RATE = 24_000
_REFERENCE_S = 600.0  # of a reference; engines listen to its beginning
_TURN_S = 600.0  # of what is said in a turn

M = TypeVar("M", bound=Asked)


class Speech:
    """The routes."""

    def __init__(self, mount: Mount, desk: Desk, voices: Voices) -> None:
        self._desk = desk
        self._exchange = mount.exchange
        self._service = mount.exchange.service
        self._media = mount.half.media
        self._texts = mount.half.texts
        self._voices = voices
        self._conversations = Conversations(mount.half.accounts.store)
        self._live = LiveSpeech(mount.half.fleet, mount.half.lines, mount.half.meter, now=time.monotonic)

    async def tts(self, request: Request) -> Response:
        """D5, D6."""
        client, form = await self._json(request, TtsRequest, "/v1/tts/")
        form.checked()
        model = find(form.model, Kind.SPEECH, self._voices.speakers)
        voice = self._voices.choose(form.voice, form.language, text=form.text, model=model)
        work = form.work(VoiceNamed(code=voice.code), voice.language)
        check_length(work, client.caller.plan.text_chars)
        self._desk.check_webhook(form.webhook_url)
        if not form.webhook_url:
            self._voices.check_loaded(voice.engine)
        said = {"model": model.id, "voice": voice.code}
        errand = Errand(Task.TTS, work, model.tier.route, len(form.text), form.webhook_url, said)
        if not form.stream:
            job = await self._desk.submit(request, client, errand)
            return await self._desk.reply(request, job, waited=not form.webhook_url)
        caller = client.caller
        text = LiveText(
            LiveCaller(str(caller.user_id), user_id=caller.user_id, sessions=caller.plan.jobs),
            Recital(clauses_of(form.text), voice, form.speed),
            form.format,
            errand.route,
            len(form.text),
        )
        headers = await self._price(caller.user_id, errand)
        return self._live.reply(text, headers | {"X-Engine": voice.engine, "X-Voice": voice.code})

    async def clone(self, request: Request) -> Response:
        """D9."""
        async with self._exchange.asked(request, {"reference_audio": cap(REFERENCE_MB)}) as asked:
            form = read_form(CloneForm, asked.form.fields)
            model = find_cloning(form.model)
            self._desk.check_webhook(form.webhook_url)
            await self._service.check(asked.caller, form.work(""))
            limits = MediaLimits(_REFERENCE_S, _REFERENCE_S)
            async with self._media.take(asked.form.files["reference_audio"], limits, rate=_CLONE_RATE) as sound:
                client = Client(asked.caller, asked.key, asked.fingerprint)
                route, count, url = pricing.Route.TTS_AI_CLONE, len(form.text), form.webhook_url
                errand = Errand(Task.CLONE, form.work(sound.upload), route, count, url, {"model": model.id})
                job = await self._desk.submit(request, client, errand)
        return await self._desk.reply(request, job, waited=not form.webhook_url)

    async def chat(self, request: Request) -> Response:
        """D18: a form, or JSON with the text."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind.startswith("multipart/") or kind == URLENCODED:
            async with self._exchange.asked(request, optional={"audio": cap(STT_MB)}) as asked:
                form = read_form(ChatForm, asked.form.fields)
                client = Client(asked.caller, asked.key, asked.fingerprint)
                job = await self._chat(request, client, form, asked.form.files.get("audio"))
        else:
            client, form = await self._json(request, ChatForm, "/v1/voice-chat/")
            job = await self._chat(request, client, form, None)
        return await self._desk.reply(request, job, waited=True)

    async def _chat(self, request: Request, client: Client, form: ChatForm, audio: Upload | None) -> Job:
        form.checked(audio=audio is not None)
        needs(self._texts, "chat")
        model = find(form.tts_model, Kind.SPEECH, self._voices.speakers, field="tts_model")
        voice = VoiceNamed(code=self._voices.choose(form.voice, model=model).code)
        user_id, conversation = client.caller.user_id, form.conversation_id
        before = await self._conversations.remembered(user_id, conversation) if conversation else ()
        said = {DETAIL: conversation or self._conversations.begin(), "model": model.id, "voice": voice.code}
        work = form.work(voice, before)
        await self._service.check(client.caller, work)
        if audio is None:
            check_characters(len(form.text), client.caller.plan.text_chars)
            return await self._desk.submit(request, client, _turn(work, said))
        async with self._media.take(audio, MediaLimits(_TURN_S, _TURN_S)) as sound:
            heard = form.work(voice, before, sound.upload, round(sound.seconds, 2))
            return await self._desk.submit(request, client, _turn(heard, said))

    async def _json(self, request: Request, model: type[M], path: str) -> tuple[Client, M]:
        caller = await self._exchange.caller(request)
        key = idempotency_key(request.headers.get("idempotency-key"))
        form = read_json(model, await read_body(request, most=_BODY_BYTES))
        mark = await fingerprint(path, form.model_dump(), {}) if key is not None else b""
        return Client(caller, key, mark), form

    async def _price(self, user_id: int, errand: Errand) -> dict[str, str]:
        """D6, before anything is sent: what it costs, and what is left then."""
        units = pricing.price(errand.route, errand.quantity, (await self._service.policy()).prices)
        available = pricing.to_units(str(await self._service.balance(user_id)))
        if units > available:
            message = f"This costs {credits_text(units)} credits; {credits_text(available)} are available."
            raise VoiceError(Code.INSUFFICIENT_CREDITS, message, required=units, available=available)
        return {"X-Credits-Used": credits_text(units), "X-Credits-Remaining": credits_text(available - units)}


def _turn(work: Conversing, said: Mapping[str, str]) -> Errand:
    return Errand(Task.CHAT, work, pricing.Route.TTS_AI_CHAT, 1, None, said)
