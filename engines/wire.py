"""Requests and answers as frames and back. What a child sends is not trusted: a value out of range is a WireError.

An engine may be wrong in ways that would poison everything after it (a time that goes back, a NaN, ten megabytes of
text, half a character), so every field is checked against the request it answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from engines import fields
from engines.base import Capabilities, Task, Treated, Voice
from engines.fields import TEXT_CHARACTERS
from engines.frames import BUFFERS, Head, WireError
from protocol.errors import Code, VoiceError
from protocol.events import Word
from protocol.requests import Decode, Diffusion, Hypothesis, Reference, Speak, SpeechChunk, SpokenWord
from protocol.traits import Age, Gender, Manner, Pace, Pitch, Traits

WORDS = 2_000
PROMPT_BYTES = 4 << 20  # of a voice prompt: it goes with every clause
LATE_S = 2.0  # how far past its audio a word time may lie (a padded window); it is clipped
SPEECH_S = 600.0  # longest sound of one Speak
BYTES_A_SECOND = 32_000  # s16le at 16 kHz


# -- recognition -------------------------------------------------------------------------------------


def pack_decodes(batch: Sequence[Decode]) -> tuple[Head, tuple[bytes, ...]]:
    """A batch of requests: one buffer of sound each, the rest in the head."""
    items = [
        {
            "language": item.language,
            "prompt": item.prompt,
            "keyterms": item.keyterms,
            "word_timestamps": item.word_timestamps,
            "final": item.final,
            "stream": item.stream,
            "beam_size": item.beam_size,
            "temperature": item.temperature,
        }
        for item in batch
    ]
    return {"batch": items}, tuple(item.pcm for item in batch)


def read_decodes(head: Head, buffers: Sequence[bytes]) -> list[Decode]:
    """In the child: the batch again."""
    return [
        Decode(
            pcm,
            fields.text(item, "language"),
            fields.text(item, "prompt", 1 << 20),
            tuple(fields.exactly(str, term) for term in fields.items(item, "keyterms", WORDS)),
            fields.flag(item, "word_timestamps"),
            fields.flag(item, "final"),
            fields.text(item, "stream"),
            int(fields.number(item.get("beam_size"), 0, 100)),
            fields.number(item.get("temperature"), 0.0, 10.0),
        )
        for item, pcm in zip(fields.objects(head, "batch", BUFFERS), buffers, strict=True)
    ]


def pack_hypotheses(answers: Sequence[Hypothesis]) -> Head:
    """In the child: the answers to a batch. Raises WireError for a text nobody can have said."""
    if any(len(answer.text) > TEXT_CHARACTERS or len(answer.words) > WORDS for answer in answers):
        raise WireError("the text is too long")
    return {
        "batch": [
            {
                "text": answer.text,
                "words": [[word.text, *map(float, (word.start, word.end, word.probability))] for word in answer.words],
                "language": answer.language,
                "language_probability": float(answer.language_probability),  # float(): an array library's own
                "average_log_probability": float(answer.average_log_probability),  # scalars are not JSON
                "no_speech_probability": float(answer.no_speech_probability),
            }
            for answer in answers
        ]
    }


def read_hypotheses(head: Head, batch: Sequence[Decode]) -> list[Hypothesis]:
    """The answers to ``batch``, checked against it."""
    items = fields.objects(head, "batch", BUFFERS)
    if len(items) != len(batch):
        raise WireError(f"{len(items)} answers to {len(batch)} requests")
    return [_hypothesis(item, len(request.pcm) / BYTES_A_SECOND) for item, request in zip(items, batch, strict=True)]


def _hypothesis(item: Head, seconds: float) -> Hypothesis:
    return Hypothesis(
        fields.text(item, "text"),
        _words(item, seconds),
        fields.text(item, "language", 16),
        fields.number(item.get("language_probability"), 0.0, 1.0 + 1e-3),
        fields.number(item.get("average_log_probability"), -1e4, 1e4),
        fields.number(item.get("no_speech_probability"), 0.0, 1.0 + 1e-3),
    )


def _words(item: Head, seconds: float) -> tuple[Word, ...]:
    words: list[Word] = []
    before = 0.0
    for entry in fields.items(item, "words", WORDS):
        text, start, end, probability = fields.row(entry, 4)
        begin = fields.number(start, before, seconds + LATE_S)
        finish = fields.number(end, begin, seconds + LATE_S)
        word = fields.clean(text, TEXT_CHARACTERS)
        words.append(Word(word, min(begin, seconds), min(finish, seconds), fields.number(probability, 0.0, 1.0 + 1e-3)))
        before = begin
    return tuple(words)


# -- synthesis ---------------------------------------------------------------------------------------


def pack_speak(request: Speak) -> tuple[Head, tuple[bytes, ...]]:
    """A clause to speak; a prompt goes beside it."""
    head: Head = {
        "text": request.text,
        "voice": request.voice,
        "speed": request.speed,
        "pitch": request.pitch,
        "words": request.words,
    }
    if request.design is not None:
        head["design"] = asdict(request.design)
    if request.diffusion != Diffusion():
        head["diffusion"] = asdict(request.diffusion)
    return head, (request.prompt,) if request.prompt else ()


def read_speak(head: Head, buffers: Sequence[bytes]) -> Speak:
    """In the child: the clause again."""
    return Speak(
        fields.text(head, "text", 1 << 20),
        fields.text(head, "voice"),
        fields.number(head.get("speed"), 0.01, 100.0),
        fields.number(head.get("pitch"), -100.0, 100.0),
        fields.flag(head, "words"),
        _traits(fields.exactly(dict, head["design"])) if "design" in head else None,
        b"".join(buffers),
        _diffusion(fields.exactly(dict, head["diffusion"])) if "diffusion" in head else Diffusion(),
    )


def _diffusion(item: Head) -> Diffusion:
    return Diffusion(
        int(fields.number(item.get("num_step"), 1, 1_000)),
        fields.number(item.get("guidance_scale"), 0.0, 100.0),
        fields.flag(item, "denoise"),
    )


def _traits(item: Head) -> Traits:
    return Traits(
        fields.member(Gender, item, "gender"),
        fields.member(Age, item, "age"),
        fields.member(Pitch, item, "pitch"),
        fields.member(Manner, item, "manner"),
        fields.member(Pace, item, "pace"),
        fields.text(item, "accent", 100),
    )


def pack_reference(reference: Reference) -> tuple[Head, tuple[bytes, ...]]:
    """Speech to make a prompt of."""
    return {"rate": reference.rate, "text": reference.text}, (reference.pcm,)


def read_reference(head: Head, buffers: Sequence[bytes]) -> Reference:
    """In the child: the speech again."""
    rate = int(fields.number(head.get("rate"), 8_000, 192_000))
    return Reference(b"".join(buffers), rate, fields.text(head, "text"))


def read_prompt(buffers: Sequence[bytes]) -> bytes:
    """The prompt an engine made; never an empty one, which would be nobody's."""
    if len(buffers) != 1 or not 0 < len(buffers[0]) <= PROMPT_BYTES:
        raise WireError("not a prompt")
    return buffers[0]


def pack_chunk(chunk: SpeechChunk) -> Head:
    """In the child: what goes beside a chunk's sound."""
    head: Head = {"rate": chunk.rate}
    if chunk.words:
        head["words"] = [[int(word.offset), int(word.length), float(word.start)] for word in chunk.words]
    return head


class SpeechCheck:
    """Reads the chunks that answer one ``Speak`` and sees that they fit each other and the text."""

    def __init__(self, request: Speak) -> None:
        self._characters = len(request.text)
        self._rate = 0
        self._bytes = 0
        self._word_at = 0.0

    def read(self, head: Head, buffers: Sequence[bytes]) -> SpeechChunk:
        """The next chunk; rate constant, whole samples, word times that do not go back."""
        rate = int(fields.number(head.get("rate"), 8_000, 192_000))
        if len(buffers) != 1 or len(buffers[0]) % 2 or self._rate not in (0, rate):
            raise WireError("a chunk is not whole samples at one rate")
        self._rate = rate
        self._bytes += len(buffers[0])
        if self._bytes > SPEECH_S * 2 * rate:
            raise WireError(f"more than {SPEECH_S:.0f} s of sound for one clause")
        return SpeechChunk(buffers[0], rate, self._words(head) if "words" in head else ())

    def _words(self, head: Head) -> tuple[SpokenWord, ...]:
        words: list[SpokenWord] = []
        for entry in fields.items(head, "words", WORDS):
            offset, length, start = fields.row(entry, 3)
            begin = int(fields.number(offset, 0, self._characters))
            span = int(fields.number(length, 0, self._characters - begin))
            self._word_at = fields.number(start, self._word_at, SPEECH_S)
            words.append(SpokenWord(begin, span, self._word_at))
        return tuple(words)


# -- separation --------------------------------------------------------------------------------------


def pack_stems(stems: Mapping[str, bytes]) -> tuple[Head, tuple[bytes, ...]]:
    """In the child: the parts of a mix, one buffer each."""
    return {"stems": list(stems)}, tuple(stems.values())


def read_stems(head: Head, buffers: Sequence[bytes], size: int) -> dict[str, bytes]:
    """The parts of a mix of ``size`` bytes, each as long as it."""
    names = [fields.clean(name, 100) for name in fields.items(head, "stems", BUFFERS)]
    if not names or len(names) != len(buffers) or len(set(names)) != len(names):
        raise WireError("not one buffer for each stem")
    if any(len(buffer) != size for buffer in buffers):
        raise WireError("a stem is not as long as the mix")
    return dict(zip(names, buffers, strict=True))


# -- tools for sound ---------------------------------------------------------------------------------


def pack_treated(treated: Treated) -> tuple[Head, tuple[bytes, ...]]:
    """In the child: what a tool made and found."""
    return {"facts": dict(treated.facts)}, (treated.pcm,)


def read_treated(head: Head, buffers: Sequence[bytes]) -> Treated:
    """What a tool made and found: whole samples, and facts whose values are for whoever asked to check."""
    if len(buffers) != 1 or len(buffers[0]) % 2:
        raise WireError("not whole samples")
    return Treated(buffers[0], fields.exactly(dict, head.get("facts")))


# -- capabilities and failures -----------------------------------------------------------------------


def pack_capabilities(it: Capabilities) -> Head:
    """In the child: what the engine says of itself."""
    return {
        "engine": it.engine,
        "task": it.task.value,
        "model": it.model,
        "languages": it.languages,
        "detects_language": it.detects_language,
        "word_timestamps": it.word_timestamps,
        "incremental": it.incremental,
        "batch": it.batch,
        "rate": it.rate,
        "voices": [[voice.id, voice.name, voice.language, voice.gender, voice.age] for voice in it.voices],
        "cloning": it.cloning,
        "designs": it.designs,
        "note": it.note,
        "stems": it.stems,
        "stretch_s": it.stretch_s,
        "wants_words": it.wants_words,
        "live": it.live,
    }


def read_capabilities(head: Head) -> Capabilities:
    """What an engine says of itself."""
    try:
        task = Task(fields.text(head, "task"))
    except ValueError:
        raise WireError("an engine without a known task") from None
    return Capabilities(
        fields.text(head, "engine"),
        task,
        fields.text(head, "model"),
        tuple(fields.exactly(str, language) for language in fields.items(head, "languages", 1_000)),
        fields.flag(head, "detects_language"),
        fields.flag(head, "word_timestamps"),
        fields.flag(head, "incremental"),
        int(fields.number(head.get("batch"), 1, 1024)),
        int(fields.number(head.get("rate"), 8_000, 192_000)),
        tuple(map(_voice, fields.items(head, "voices", 10_000))),
        fields.flag(head, "cloning"),
        fields.flag(head, "designs"),
        fields.text(head, "note"),
        tuple(fields.exactly(str, stem) for stem in fields.items(head, "stems", BUFFERS)),
        fields.number(head.get("stretch_s"), 0.0, SPEECH_S),
        fields.flag(head, "wants_words"),
        fields.flag(head, "live"),
    )


def _voice(entry: object) -> Voice:
    return Voice(*(fields.clean(part, 200) for part in fields.row(entry, 5)))


def pack_error(error: VoiceError) -> Head:
    """In the child: a typed failure; facts that are not plain values stay behind."""
    facts = {key: value for key, value in error.facts.items() if isinstance(value, str | int | float)}
    return {"code": error.code.value, "message": error.message[:500], "facts": facts}


def read_error(head: Head) -> VoiceError:
    """A failure from the child; one it cannot name properly is ENGINE_FAILED."""
    facts = head.get("facts")
    plain = facts if isinstance(facts, dict) else {}
    try:
        return VoiceError(Code(fields.text(head, "code")), fields.text(head, "message", 500), **plain)
    except (WireError, ValueError):
        return VoiceError(Code.ENGINE_FAILED, "the engine failed")
