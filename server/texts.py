"""What works on texts, put together from the settings and the engines."""

from typing import TYPE_CHECKING

from batch.text_basics import Basics
from batch.text_translators import LocalTranslator, Translator, WritingTranslator
from batch.text_writers import LocalWriter, Writer
from batch.texts import Texts
from engines.base import Task
from engines.fleet import Fleet
from engines.registry import EngineSpec
from protocol.errors import VoiceError
from protocol.text_prompts import Message, Prompt
from server.settings import Settings

if TYPE_CHECKING:
    from batch.text_endpoint import Endpoint


def texts_of(settings: Settings, fleet: Fleet) -> Texts:
    """Everything that can be done with texts here; the fleet has been started."""
    basics, writer = fleet.of_texts.get(Task.TEXT), _writer(settings, fleet)
    return Texts(
        Basics(_name(basics[0]), int(str(basics[0].options["dimensions"])), basics[1]) if basics else None,
        writer,
        _translator(writer, fleet),
        timeout_s=settings.text_timeout,
    )


async def endpoint_state(settings: Settings) -> str:
    """Whether the endpoint of the settings answers, for a person."""
    try:
        written = await _endpoint(settings).write(Prompt((Message("user", "Say yes."),), 16))
    except VoiceError as error:
        return f"{settings.text_url}: {error.message}"
    return f"{settings.text_url} answers, with {written.model}"


def _endpoint(settings: Settings) -> "Endpoint":
    from batch.text_endpoint import Address, Endpoint  # with a client for HTTP, which most servers have no need of

    address = Address(settings.text_url, settings.text_key.get_secret_value(), settings.text_model)
    return Endpoint(address, timeout_s=settings.text_timeout)


def _writer(settings: Settings, fleet: Fleet) -> Writer | None:
    """The endpoint, where one is set: who sets it wants it."""
    if settings.text_url:
        return _endpoint(settings)
    local = fleet.of_texts.get(Task.WRITE)
    return LocalWriter(_name(local[0]), local[1]) if local else None


def _translator(writer: Writer | None, fleet: Fleet) -> Translator | None:
    """A model made for translating, where there is one: it knows more languages."""
    local = fleet.of_texts.get(Task.TRANSLATE)
    if local:
        return LocalTranslator(_name(local[0]), local[1])
    return WritingTranslator(writer) if writer is not None else None


def _name(spec: EngineSpec) -> str:
    return str(spec.options.get("model") or spec.name)
