"""What somebody said, said in another language (D11): recognised, translated stretch by stretch, spoken.

The three steps are those of other work; nothing is spoken before all of it is translated, so that a failure costs
little. The times of the recording are not kept: a translation takes as long as it takes.
"""

from collections.abc import Sequence
from dataclasses import replace

from batch.pipelines import speak, transcribe
from batch.pipelines.base import JobContext, Produced, Tools
from batch.texts import Texts
from protocol.errors import Code, VoiceError
from protocol.texts import Translated
from protocol.work import Interpreting, Line, Speaking, Style, Transcribing, VoiceClone

HEARING, TRANSLATING = 0.4, 0.6  # the shares of the work that are done after each step
_AT_ONCE = 32  # texts in one request


async def run(work: Interpreting, context: JobContext, tools: Tools) -> Produced:
    """Interpret a recording."""
    wanted = Transcribing(
        upload=work.upload, seconds=work.seconds, language=work.language, engine=work.engine, formats=()
    )
    heard = await hear(wanted, replace(context, progress=context.step(0.0, HEARING)), tools)
    said = [segment.text for segment in heard.segments if segment.text.strip()] or [heard.text]
    translated = await _translate(said, heard.language, work.target, context, tools)
    voice = VoiceClone(upload=work.upload) if work.keep_voice else work.voice
    text = " ".join(translated.texts)
    speaking = Speaking(
        lines=(Line(text=text, voice=voice),), style=Style(language=work.target), delivery=work.delivery
    )
    spoken = await speak.run(speaking, replace(context, progress=context.step(TRANSLATING, 1.0)), tools)
    return replace(
        spoken,
        engine=engines(heard.engine, translated.model, spoken.engine),
        text=text,
        language=work.target,
        source_text=heard.text,
        source_language=heard.language,
    )


async def hear(wanted: Transcribing, context: JobContext, tools: Tools) -> Produced:
    """What was said in a recording. BAD_REQUEST when that is nothing."""
    heard = await transcribe.run(wanted, context, tools)
    if not heard.text.strip():
        raise VoiceError(Code.BAD_REQUEST, "No speech was heard in the file.", field="file")
    return heard


def engines(*names: str) -> str:
    """Who did it, in order."""
    return ", ".join(dict.fromkeys(name for name in names if name))


async def _translate(said: Sequence[str], source: str, target: str, context: JobContext, tools: Tools) -> Translated:
    """All of it, in order; what is in the language already is left as it is."""
    if _base(source) == _base(target):
        return Translated(tuple(said), source, target, "")
    texts, tell = tools.texts or Texts(), context.step(HEARING, TRANSLATING)
    done, model = list[str](), ""
    for at in range(0, len(said), _AT_ONCE):
        translated = await texts.translate(said[at : at + _AT_ONCE], source or "auto", target)
        done += translated.texts
        model = translated.model
        tell(len(done) / len(said))
    return Translated(tuple(done), source, target, model)


def _base(language: str) -> str:
    return language.lower().replace("_", "-").partition("-")[0]
