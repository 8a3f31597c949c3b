"""Seed D's routes for recordings: recognition, voices, translation, tools (D7, D8, D10-D17). The file is ``file``."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from batch.media import MediaLimits, Recording
from protocol.checking import read_form
from protocol.dialects.tts_ai import recordings as forms
from protocol.dialects.tts_ai.models import Kind, find, find_reshaping
from protocol.dialects.tts_ai.shapes import Task
from protocol.pricing import Route
from protocol.work import VoiceNamed, Work
from server.api.exchange import cap
from server.api.mount import Mount
from server.api.tts_ai_desk import Client, Desk, Errand
from server.api.tts_ai_texts import needs
from server.api.tts_ai_voices import Voices

LONG_S = 7200.0  # of speech, to be recognised or translated: the document limits bytes only
_UNLIMITED_S = 24 * 3600.0
_RECOGNISER = "faster-whisper"  # whose names the document's models are; elsewhere the best that there is

F = TypeVar("F", bound=forms.OfFile)
WorkOf = Callable[[str, float, str], Work]  # of an upload, its seconds, and the container it came in


@dataclass(frozen=True, slots=True)
class Shape:
    """How a file's sound is kept for its task; with ``keep`` at most like that."""

    rate: int = 16_000
    channels: int = 1
    keep: bool = False


SPEECH, VOICE, MUSIC = Shape(), Shape(24_000), Shape(44_100, 2)
ANY = Shape(48_000, 2, keep=True)


@dataclass(frozen=True, slots=True)
class Kindred:
    """What requests of one route have in common. ``long``: hours of speech, not minutes of music."""

    task: Task
    price: Route
    most_mb: int
    shape: Shape
    long: bool = False


STT = Kindred(Task.STT, Route.TTS_AI_STT, forms.STT_MB, SPEECH, long=True)
TRANSLATE = Kindred(Task.TRANSLATE, Route.TTS_AI_TRANSLATE, forms.TRANSLATE_MB, VOICE, long=True)
CONVERT_VOICE = Kindred(Task.CONVERT_VOICE, Route.TTS_AI_CONVERT, forms.CONVERT_VOICE_MB, VOICE)
RESHAPE = Kindred(Task.RESHAPE, Route.TTS_AI_CONVERT, forms.RESHAPE_MB, VOICE)
ENHANCE = Kindred(Task.ENHANCE, Route.TTS_AI_ENHANCE, forms.TOOL_MB, ANY)
SEPARATE = Kindred(Task.SEPARATE, Route.TTS_AI_SEPARATE, forms.TOOL_MB, MUSIC)
DEECHO = Kindred(Task.DEECHO, Route.TTS_AI_ENHANCE, forms.TOOL_MB, ANY)
ANALYZE = Kindred(Task.ANALYZE, Route.TTS_AI_TOOLS, forms.TOOL_MB, MUSIC)
CONVERT = Kindred(Task.CONVERT, Route.TTS_AI_TOOLS, forms.TOOL_MB, ANY)


class Recordings:
    """The routes."""

    def __init__(self, mount: Mount, desk: Desk, voices: Voices) -> None:
        self._desk = desk
        self._exchange = mount.exchange
        self._service = mount.exchange.service
        self._media = mount.half.media
        self._texts = mount.half.texts
        self._voices = voices

    async def stt(self, request: Request) -> Response:
        """D7, D8."""

        def plan(form: forms.SttForm) -> WorkOf:
            find(form.model, Kind.RECOGNITION)
            engine = self._service.abilities.preferred(_RECOGNISER, form.language)
            return lambda upload, seconds, _: form.work(upload, seconds, engine)

        return await self._do(request, STT, forms.SttForm, plan)

    async def convert_voice(self, request: Request) -> Response:
        """D10."""

        def plan(form: forms.ConvertVoiceForm) -> WorkOf:
            find(form.model, Kind.CONVERSION)
            voice = VoiceNamed(code=self._voices.choose(form.target_voice, field="target_voice").code)
            return lambda upload, seconds, _: form.work(upload, seconds, voice)

        return await self._do(request, CONVERT_VOICE, forms.ConvertVoiceForm, plan)

    async def reshape(self, request: Request) -> Response:
        """D12."""

        def plan(form: forms.ReshapeForm) -> WorkOf:
            find_reshaping(form.model)
            voice = VoiceNamed(code=self._voices.choose(form.voice).code)
            return lambda upload, seconds, _: form.work(upload, seconds, voice)

        return await self._do(request, RESHAPE, forms.ReshapeForm, plan)

    async def translate(self, request: Request) -> Response:
        """D11."""

        def plan(form: forms.TranslateForm) -> WorkOf:
            target = form.target
            needs(self._texts, "translate")
            named = form.voice is not None and not form.preserve_voice
            voice = VoiceNamed(code=self._voices.choose(form.voice or "", target).code) if named else VoiceNamed()
            return lambda upload, seconds, _: form.work(upload, seconds, voice)

        return await self._do(request, TRANSLATE, forms.TranslateForm, plan)

    async def enhance(self, request: Request) -> Response:
        """D13."""
        return await self._do(request, ENHANCE, forms.EnhanceForm, lambda form: form.work)

    async def separate(self, request: Request) -> Response:
        """D14."""

        def plan(form: forms.SeparateForm) -> WorkOf:
            find(form.model, Kind.SEPARATION)
            return lambda upload, seconds, _: form.work(upload, seconds)

        return await self._do(request, SEPARATE, forms.SeparateForm, plan)

    async def deecho(self, request: Request) -> Response:
        """D15."""
        return await self._do(request, DEECHO, forms.DeechoForm, lambda form: form.work)

    async def analyze(self, request: Request) -> Response:
        """D16."""
        return await self._do(
            request, ANALYZE, forms.AnalyzeForm, lambda form: lambda upload, seconds, _: form.work(upload, seconds)
        )

    async def convert(self, request: Request) -> Response:
        """D17."""
        return await self._do(
            request, CONVERT, forms.ConvertForm, lambda form: lambda upload, seconds, _: form.work(upload, seconds)
        )

    async def _do(self, request: Request, kin: Kindred, model: type[F], plan: Callable[[F], WorkOf]) -> Response:
        """Everything: the form, what it asks for, the file's sound, the task, and what came of it."""
        async with self._exchange.asked(request, {"file": cap(kin.most_mb)}) as asked:
            form = read_form(model, asked.form.fields)
            work_of = plan(form)
            self._desk.check_webhook(form.webhook_url)
            await self._service.check(asked.caller, work_of("", 0.0, ""))
            limits, shape = await self._limits(kin), kin.shape
            async with self._media.take(
                asked.form.files["file"], limits, rate=shape.rate, channels=shape.channels, keep=shape.keep
            ) as sound:
                client = Client(asked.caller, asked.key, asked.fingerprint)
                errand = _errand(kin, form, work_of, sound)
                job = await self._desk.submit(request, client, errand)
        return await self._desk.reply(request, job, waited=not form.webhook_url)

    async def _limits(self, kin: Kindred) -> MediaLimits:
        if kin.long:
            return MediaLimits(LONG_S, LONG_S)
        most = (await self._service.policy()).upload.separate_s or _UNLIMITED_S
        return MediaLimits(most, most)


def _errand(kin: Kindred, form: forms.OfFile, work_of: WorkOf, sound: Recording) -> Errand:
    seconds = round(sound.seconds, 2)
    said: dict[str, Any] = {"duration": seconds}
    said |= {name: value for name in ("model", "voice") if (value := getattr(form, name, None))}
    work = work_of(sound.upload, seconds, sound.container)
    return Errand(kin.task, work, kin.price, seconds, form.webhook_url, said)
