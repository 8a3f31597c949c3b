"""OmniVoice as an engine: voices by description or likeness in over 600 languages, by diffusion; quick on a GPU only.

Clause by clause, a short one first, each made whole in ``num_step`` steps; on a GPU the later clauses are made several
at a time, and those of several requests that wait.
Between two steps the work can be stopped. A description is true of many voices and the model picks one anew
each time: so for every description (and for none) one is picked once, by having it say a sentence, and is the reference
for everything that is said after. The seed is fixed, so it is the same one in every process and after every start.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from pathlib import Path

import numpy as np

from engines.base import Capabilities, Options, Task, Voice
from engines.tts.checkpoints import OMNIVOICE, find
from engines.tts.clauses import MAX_TEXT, PAUSES_S, clauses
from engines.tts.hearing import hear
from engines.tts.likeness import SHORTEST_S
from engines.tts.loudness import Sound, faded, gain_for, levelled, pcm_of
from engines.tts.omnivoice_model import OmniVoiceModel, Order
from engines.tts.omnivoice_prompt import KeptVoice, from_bytes, to_bytes
from engines.tts.omnivoice_words import instruct_of, pace_of, said
from engines.tts.silence import without_silence
from engines.tts.turns import turns
from protocol.chunker import Clause
from protocol.errors import Code, VoiceError
from protocol.requests import Diffusion, Reference, Speak, SpeechChunk
from protocol.spoken_form import spoken_form
from protocol.traits import Traits

AUTO = "auto"

_SPEEDS = (0.25, 4.0)
_STEPS = (4, 128)
_TOGETHER_ON_GPU = 8  # clauses
_KEPT = 64  # picked voices
_PIECE_S = 1.0  # of sound in one chunk
_TRIALS = {
    "en": "Nice to meet you. I hope you are having a good day.",
    "vi": "Rất vui được gặp bạn. Chúc bạn một ngày tốt lành.",
    "zh": "很高兴认识你。祝你今天过得愉快。",
    "ja": "はじめまして。今日も良い一日をお過ごしください。",
    "ko": "만나서 반갑습니다. 오늘도 좋은 하루 되세요.",
    "de": "Freut mich, Sie kennenzulernen. Ich wünsche Ihnen einen schönen Tag.",
    "es": "Mucho gusto en conocerle. Que tenga un buen día.",
    "fr": "Ravi de vous rencontrer. Je vous souhaite une bonne journée.",
    "id": "Senang bertemu dengan Anda. Semoga hari Anda menyenangkan.",
    "pt": "Prazer em conhecê-lo. Tenha um bom dia.",
    "ru": "Рад познакомиться. Желаю вам хорошего дня.",
}

Step = Callable[[], None]


def factory(options: Options) -> "OmniVoice":
    """Build the engine. Options: ``directory`` (a checkpoint, or where one is), ``device`` ("cpu", "cuda"),
    ``threads``, ``together`` (clauses made at a time, of one request or several)."""
    found = find(Path(str(options.get("directory") or "")), OMNIVOICE)
    if not found:
        raise VoiceError(Code.NOT_INSTALLED, "there is no OmniVoice checkpoint in the directory", field="directory")
    device = str(options.get("device") or "cpu")
    threads, together = options.get("threads"), options.get("together")
    if isinstance(threads, int) and threads:
        import torch

        torch.set_num_threads(threads)
    if not isinstance(together, int) or together < 1:
        together = _TOGETHER_ON_GPU if device.startswith("cuda") else 1
    return OmniVoice(found[0].name, OmniVoiceModel(found[0], device), together, live=device.startswith("cuda"))


@dataclass(frozen=True, slots=True)
class _Speaker:
    """Who speaks a request, and how."""

    language: str | None
    speed: float
    instruct: str = ""
    voice: KeptVoice | None = None

    def saying(self, clause: Clause) -> Order:
        return Order(said(clause.text).strip(), self.language, self.speed, self.instruct, self.voice)


@dataclass(frozen=True, slots=True)
class _Speech:
    """A request on its way through the model."""

    number: int
    request: Speak
    language: str | None
    kept: KeptVoice | None
    sayable: list[Clause]


class OmniVoice:
    """The engine (``engines.base.Cloner``). Voices are languages, "vi", or "auto"."""

    def __init__(self, name: str, model: OmniVoiceModel, together: int, *, live: bool) -> None:
        self._name = name
        self._model = model
        self._together = together
        self._live = live
        self._picked: dict[tuple[str | None, str], KeptVoice] = {}

    def describe(self) -> Capabilities:
        """Its languages, a voice each."""
        return Capabilities(
            engine="omnivoice",
            task=Task.SYNTHESIZE,
            model=self._name,
            languages=self._model.languages,
            rate=self._model.rate,
            voices=(
                *(Voice(code, f"OmniVoice, {code}", code) for code in self._model.languages),
                Voice(AUTO, "OmniVoice", "en"),
            ),
            batch=self._together,
            cloning=True,
            designs=True,
            wants_words=True,
            live=self._live,
            note="gender, age, pitch, whisper and English accents are followed, feelings and a change of pitch are not",
        )

    def close(self) -> None:
        """Nothing to give back: memory goes with the process."""

    def clone(self, reference: Reference) -> bytes:
        """What ``Speak.prompt`` takes. With ``Reference.text`` the likeness is closer; nothing is recognised here."""
        if len(reference.pcm) < 2 * reference.rate * SHORTEST_S:
            raise VoiceError(Code.BAD_REQUEST, f"ref_audio must be at least {SHORTEST_S:g} s long", field="ref_audio")
        if hear(reference.pcm, reference.rate) is None:
            raise VoiceError(Code.BAD_REQUEST, "ref_audio holds no speech that can be heard", field="ref_audio")
        return to_bytes(self._model.keep(reference))

    def speak(self, request: Speak) -> Iterator[SpeechChunk]:
        """The sound of ``request``; chunks without any are given while it is made. Speeds from 0.25 to 4.

        VoiceError: NOT_FOUND for a voice, TEXT_TOO_LONG past ``MAX_TEXT``, BAD_REQUEST for another engine's prompt.
        """
        speech = self._speech(0, request)
        if not speech.sayable:
            return iter(())

        def work(put: Callable[[SpeechChunk], None]) -> None:
            self._say([speech], lambda _, piece: put(piece) if piece is not None else None)

        return turns(work, "omnivoice")

    def speak_together(self, requests: Sequence[Speak]) -> Iterator[tuple[int, SpeechChunk | VoiceError | None]]:
        """``engines.base.Choir``: the first clauses of all requests come first, then the rest of each in turn."""
        found: list[_Speech] = []
        for number, request in enumerate(requests):
            try:
                speech = self._speech(number, request)
            except VoiceError as error:
                yield number, error
                continue
            if speech.sayable:
                found.append(speech)
            else:
                yield number, None
        if found:

            def work(put: Callable[[tuple[int, SpeechChunk | None]], None]) -> None:
                self._say(found, lambda number, piece: put((number, piece)))

            yield from turns(work, "omnivoice")

    def _speech(self, number: int, request: Speak) -> _Speech:
        if len(request.text) > MAX_TEXT:
            raise VoiceError(Code.TEXT_TOO_LONG, f"one request holds at most {MAX_TEXT} characters", maximum=MAX_TEXT)
        if request.voice != AUTO and request.voice not in self._model.languages:
            raise VoiceError(Code.NOT_FOUND, f"OmniVoice has no voice {request.voice!r}", field="voice")
        language = None if request.voice == AUTO else request.voice
        kept = from_bytes(request.prompt, self._model.codebooks, self._model.codes) if request.prompt else None
        sayable = [clause for clause in clauses(request.text) if spoken_form(clause.text).text]
        return _Speech(number, request, language, kept, sayable)

    def _say(self, speeches: list[_Speech], put: Callable[[int, SpeechChunk | None], None]) -> None:
        """All of some requests; ``put`` also hears of every step, and with None of the end of each."""
        rate = self._model.rate
        at_work = SpeechChunk(b"", rate)
        unended = [speech.number for speech in speeches]

        def step() -> None:
            put(unended[-1], at_work)

        speakers = {speech.number: self._speaker(speech, step) for speech in speeches}
        how = _within(speeches[0].request.diffusion)
        for group in _groups(speeches, self._together):
            orders = [speakers[speech.number].saying(clause) for speech, clause in group]
            who = dict.fromkeys((speech.request.voice, speakers[speech.number].instruct) for speech, _ in group)
            seed = _seed(*chain.from_iterable(who), *(order.text for order in orders))
            sounds = self._model.generate(orders, how, seed, step)
            for (speech, clause), sound in zip(group, sounds, strict=True):
                for piece in _pieces(sound, rate):
                    put(speech.number, piece)
                if clause is speech.sayable[-1]:
                    unended.remove(speech.number)
                    put(speech.number, None)
                else:
                    silence_s = PAUSES_S[clause.pause] / speakers[speech.number].speed
                    put(speech.number, SpeechChunk(bytes(2 * round(silence_s * rate)), rate))

    def _speaker(self, speech: _Speech, step: Step) -> _Speaker:
        request, language = speech.request, speech.language
        traits = request.design or Traits()
        speed = min(_SPEEDS[1], max(_SPEEDS[0], request.speed * pace_of(traits)))
        instruct = "" if speech.kept else instruct_of(traits, language or "en")
        voice = speech.kept or self._pick(language, instruct, request.diffusion, step)
        return _Speaker(language, speed, instruct, voice)

    def _pick(self, language: str | None, instruct: str, how: Diffusion, step: Step) -> KeptVoice:
        """Whoever is to speak as ``instruct`` says, always the same."""
        found = self._picked.get((language, instruct))
        if found is None:
            text = _TRIALS.get(language or "en", _TRIALS["en"])
            spoken = language if language in _TRIALS else "en"
            order = Order(text, spoken, 1.0, instruct)
            sound = self._model.generate([order], Diffusion(), _seed(str(language), instruct), step)[0]
            pcm = pcm_of(levelled(sound, gain_for(sound, self._model.rate)))
            found = self._model.keep(Reference(pcm, self._model.rate, text))
            while len(self._picked) >= _KEPT:
                del self._picked[next(iter(self._picked))]
            self._picked[language, instruct] = found
        return found


def _within(how: Diffusion) -> Diffusion:
    steps = min(_STEPS[1], max(_STEPS[0], how.num_step))
    return Diffusion(steps, min(10.0, max(0.0, how.guidance_scale)), how.denoise)


def _groups(speeches: Sequence[_Speech], size: int) -> Iterator[list[tuple[_Speech, Clause]]]:
    """First clauses first, so that all are heard soon, then the others; ``size`` at a time."""
    firsts = [(speech, speech.sayable[0]) for speech in speeches]
    others = [(speech, clause) for speech in speeches for clause in speech.sayable[1:]]
    for clauses_of in (firsts, others):
        for start in range(0, len(clauses_of), size):
            yield clauses_of[start : start + size]


def _seed(*parts: str) -> int:
    return int.from_bytes(sha256("\n".join(parts).encode()).digest()[:7])


def _pieces(sound: Sound, rate: int) -> Iterator[SpeechChunk]:
    """A clause as loud as all voices, without the silence around it, from silence to silence."""
    heard = without_silence(sound, rate)
    if len(heard):
        heard = faded(levelled(heard, gain_for(heard, rate)), rate)
    size = round(_PIECE_S * rate)
    for start in range(0, len(heard), size):
        yield SpeechChunk(pcm_of(np.asarray(heard[start : start + size], np.float32)), rate)
