"""The next turn of a spoken conversation (D18): what the user said is heard, answered by a language model, spoken."""

from dataclasses import replace

from batch.pipelines import speak
from batch.pipelines.base import JobContext, Produced, Tools
from batch.pipelines.interpret import engines, hear
from batch.texts import Texts
from engines.voices import voice_for
from protocol.script import guess_language
from protocol.texts import Role, Turn
from protocol.work import AnyVoice, Conversing, Line, Speaking, Transcribing, VoiceNamed

HEARING, ANSWERING = 0.3, 0.7  # the shares of the work that are done after each step


async def run(work: Conversing, context: JobContext, tools: Tools) -> Produced:
    """Answer."""
    said, hearer, language = work.text, "", ""
    if work.upload:
        wanted = Transcribing(upload=work.upload, seconds=work.seconds, formats=())
        heard = await hear(wanted, replace(context, progress=context.step(0.0, HEARING)), tools)
        said, hearer, language = heard.text, heard.engine, heard.language
    context.progress(HEARING)
    turns = [*(Turn(Role(turn.role), turn.text) for turn in work.before), Turn(Role.USER, said)]
    answer = await (tools.texts or Texts()).chat(work.system_prompt, turns)
    context.progress(ANSWERING)
    line = Line(text=answer.text, voice=_voice(work.voice, answer.text, tools))
    speaking = Speaking(lines=(line,), style=work.style, delivery=work.delivery)
    spoken = await speak.run(speaking, replace(context, progress=context.step(ANSWERING, 1.0)), tools)
    return replace(
        spoken,
        engine=engines(hearer, answer.model, spoken.engine),
        text=answer.text,
        source_text=said,
        source_language=language,
    )


def _voice(voice: AnyVoice, text: str, tools: Tools) -> AnyVoice:
    """A voice that speaks the language the answer is in, as far as its letters tell."""
    language = guess_language(text)
    if language is None or not isinstance(voice, VoiceNamed):
        return voice
    return VoiceNamed(code=voice_for(tools.catalogue, tools.fleet, voice.code, language).code)
