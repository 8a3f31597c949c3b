"""Seed D's voices: found for a request, listed (D19, D20), and heard before one is chosen (D21)."""

import asyncio
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import aclosing

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from batch.pipelines.delivery import rate_for
from engines.base import Capabilities, Task
from engines.catalogue import VoiceEntry
from engines.fleet import State
from engines.voices import engine_voices, find_voice, voice_for
from protocol.audio import AudioFormat, Encoding
from protocol.dialects.tts_ai import lists
from protocol.dialects.tts_ai.errors import in_own_words
from protocol.dialects.tts_ai.models import Model
from protocol.errors import Code, VoiceError
from protocol.requests import Priority, Speak
from protocol.script import guess_language
from protocol.work import Delivery
from server.api.mount import Mount
from server.api.tts_ai_desk import Desk
from stream.rendering import Rendering

AUTO = "auto"
_CONVERTER = "revoice"  # the tool that gives a recording another voice
_LOADING_S = 5
_SAMPLE = 2_000  # characters of a text that tell its language
_KEPT = 400  # previews in memory, 20 KB each
_WAITING = 8  # for their turn
_PREVIEW_S = 20.0
_RETRY_S = 5
# What a preview says. Numbers are read in the voice's own language, whichever it is.
_GREETINGS = {
    "en": "Hello! This is how I sound.",
    "vi": "Xin chào! Đây là giọng nói của tôi.",
    "es": "¡Hola! Así suena mi voz.",
    "fr": "Bonjour ! Voici ma voix.",
    "de": "Hallo! So klingt meine Stimme.",
    "it": "Ciao! Questa è la mia voce.",
    "pt": "Olá! Esta é a minha voz.",
    "ru": "Здравствуйте! Так звучит мой голос.",
    "hi": "नमस्ते! यह मेरी आवाज़ है।",
    "ja": "こんにちは。これが私の声です。",
    "zh": "你好！这是我的声音。",
    "ko": "안녕하세요! 이것은 제 목소리입니다.",
}
_COUNTING = "1, 2, 3, 4, 5, 6, 7."


class Voices:
    """Who speaks here, as this API has it."""

    def __init__(self, mount: Mount, desk: Desk) -> None:
        self._desk = desk
        self._fleet = mount.half.fleet
        self._catalogue = mount.half.catalogue
        self._abilities = mount.exchange.service.abilities
        self._previews = OrderedDict[str, bytes]()
        self._turn = asyncio.Lock()
        self._waiting = 0

    # -- for requests --------------------------------------------------------------------------------

    def choose(
        self, code: str, language: str = AUTO, *, text: str = "", model: Model | None = None, field: str = "voice"
    ) -> VoiceEntry:
        """Who speaks for a voice, in a language that is given or that the text tells.

        NOT_FOUND for a voice nobody has, or that is not the model's own; BAD_REQUEST for a language nobody speaks.
        """
        guessed = guess_language(text[:_SAMPLE]) if language == AUTO else None
        try:
            voice = voice_for(self._catalogue, self._fleet, code, guessed or language)
        except VoiceError as error:
            if error.facts.get("field") != "language":
                raise in_own_words(error, voice=field) from None
            if guessed is None:
                allowed = self._abilities.spoken_languages()
                raise VoiceError(Code.BAD_REQUEST, error.message, field="language", allowed=allowed) from None
            voice = find_voice(self._catalogue, self._fleet, code)
        if model is not None and model.engine and model.engine != voice.engine:
            raise VoiceError(Code.NOT_FOUND, f"The model {model.id} has no voice of that name.", field=field)
        return voice

    def check_loaded(self, engine: str) -> None:
        """MODEL_LOADING while who would speak is on its way."""
        for able, state, *_ in self._fleet.offers:
            if able.engine == engine and state is State.LOADING:
                raise VoiceError(Code.MODEL_LOADING, "The model is loading; try again soon.", retry_after=_LOADING_S)

    @property
    def speakers(self) -> list[str]:
        """The engines that speak, the most preferred first."""
        return [able.engine for able in self._able(Task.SYNTHESIZE)]

    # -- lists ---------------------------------------------------------------------------------------

    async def models(self, request: Request) -> Response:
        """D19."""
        await self._desk.exchange.caller(request, reading=True)
        policy = await self._desk.service.policy()
        return JSONResponse(lists.models_body(self._here(), policy.prices))

    async def voices(self, request: Request) -> Response:
        """D20."""
        await self._desk.exchange.caller(request, reading=True)
        query = lists.voice_query(dict(request.query_params))
        link = self._desk.link(request)
        rows = [_row(voice, engine, link(f"{lists.PREVIEW}{voice.code}.mp3")) for voice, engine in self._every()]
        return JSONResponse(lists.voices_body(rows, query))

    async def preview(self, request: Request) -> Response:
        """D21: what a voice sounds like, made the first time somebody wants to hear it. No key is asked for."""
        code, dot, form = request.path_params["file"].rpartition(".")
        if not dot or form != "mp3":
            raise VoiceError(Code.NOT_FOUND, "There is no such preview.")
        voice = find_voice(self._catalogue, self._fleet, code)
        sound = self._previews.get(voice.code) or await self._preview(voice)
        headers = {"cache-control": "public, max-age=86400", "x-engine": voice.engine}
        return Response(sound, media_type="audio/mpeg", headers=headers)

    # -- inside --------------------------------------------------------------------------------------

    async def _preview(self, voice: VoiceEntry) -> bytes:
        """One is made at a time, after everything else that is to be spoken."""
        if self._waiting >= _WAITING:
            raise VoiceError(Code.BUSY, "Too many previews are being made.", retry_after=_RETRY_S)
        self._waiting += 1
        try:
            async with asyncio.timeout(_PREVIEW_S), self._turn:
                if voice.code not in self._previews:
                    self._previews[voice.code] = await self._speak(voice)
                    if len(self._previews) > _KEPT:
                        self._previews.popitem(last=False)
                return self._previews[voice.code]
        except TimeoutError:
            raise VoiceError(Code.BUSY, "The server has no time for previews now.", retry_after=_RETRY_S) from None
        finally:
            self._waiting -= 1

    async def _speak(self, voice: VoiceEntry) -> bytes:
        native = next(able.rate for able in self._able(Task.SYNTHESIZE) if able.engine == voice.engine)
        rendering = Rendering(AudioFormat(Encoding.MP3, rate_for(Delivery(format="mp3"), native)))
        request = Speak(_GREETINGS.get(voice.language, _COUNTING), voice.engine_voice)
        sound = bytearray()
        async with aclosing(self._fleet.speak(request, engine=voice.engine, priority=Priority.BATCH)) as stream:
            async for chunk in stream:
                async for data, _ in rendering.pieces(chunk):
                    sound += data
        return bytes(sound + rendering.finish())

    def _every(self) -> Iterator[tuple[VoiceEntry, str]]:
        """All voices, and who speaks for each."""
        here = set(self.speakers)
        for voice in (*self._catalogue.all(), *engine_voices(self._fleet)):
            if voice.engine in here:
                yield voice, find_voice(self._catalogue, self._fleet, voice.code).engine

    def _able(self, task: Task) -> list[Capabilities]:
        return [one for one in self._fleet.capabilities if one.task is task]

    def _here(self) -> lists.Here:
        cloner = next((one for one in self._able(Task.SYNTHESIZE) if one.cloning), None)
        hearing = sorted(self._able(Task.RECOGNIZE), key=lambda one: not one.detects_language)
        return lists.Here(
            spoken=self._abilities.spoken_languages(),
            recognized=self._abilities.recognized_languages(),
            speakers=self.speakers,
            cloner=cloner.engine if cloner else "",
            recognizer=next((one.engine for one in hearing), ""),
            converter=next((one.engine for one in self._able(Task.TREAT) if one.engine == _CONVERTER), ""),
            separator=next((one.engine for one in self._able(Task.SEPARATE)), ""),
        )


def _row(voice: VoiceEntry, engine: str, preview: str) -> lists.VoiceRow:
    """The model is whose names these are: Kokoro's, or the engine's own."""
    return lists.VoiceRow(
        id=voice.code,
        name=voice.name,
        model="kokoro" if voice.family == "kokoro" else voice.engine,
        language=voice.language,
        gender=voice.gender,
        preview_url=preview,
        engine=engine,
    )
