"""All engines of a server: started together, asked by what is needed, stopped together."""

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

from engines import models, offers, registry
from engines.base import Capabilities, Observer, Task
from engines.batch_lanes import BatchLanes
from engines.host import EngineHost, Unobserved
from engines.offers import Offer, described
from engines.offers import State as State
from engines.on_demand import Lender, OnDemand
from engines.registry import EngineSpec
from engines.scheduler import Scheduler, SchedulerLimits
from engines.speech import SpeechStream
from engines.supervisor import HostLimits
from engines.synthesis_queue import SynthesisQueue
from engines.vad.batch import VadBatcher
from protocol.errors import Code, VoiceError
from protocol.requests import Priority, Reference, Speak, VoicePrompt

AUTO = "auto"
_OF_TEXTS = (Task.TEXT, Task.WRITE, Task.TRANSLATE)
_ANY_STEMS = {"vocals", "instrumental", "other"}  # "other" is what is left
_DETECT_GRACE_S = 3.0  # a window takes a fraction of a millisecond, and every session waits for it


class _Recognizer(NamedTuple):
    live: Scheduler
    batch: Lender[Scheduler]


class _Transcriber(NamedTuple):
    """A recogniser for recordings only, which is there while it is used."""

    able: Capabilities  # as the registry and the model's files tell; it is not loaded to be asked
    lane: OnDemand[Scheduler]


class _Speaker(NamedTuple):
    live: SynthesisQueue
    batch: Lender[SynthesisQueue]


class Fleet:
    """The engines of ``specs``, those of higher preference first. ``start()``, then ask, then ``aclose()``."""

    def __init__(
        self,
        specs: Sequence[EngineSpec],
        *,
        observer: Observer | None = None,
        now: Callable[[], float] = time.monotonic,
        limits: HostLimits | None = None,
        scheduling: SchedulerLimits | None = None,
    ) -> None:
        self._specs = sorted(specs, key=lambda spec: -spec.preference)
        self.lanes = BatchLanes(observer=observer, now=now, limits=limits)
        self._observer: Observer = observer or Unobserved()
        self._now = now
        self._limits = limits
        self._scheduling = scheduling
        self._hosts: list[tuple[EngineSpec, list[EngineHost]]] = []
        self._recognizers: list[_Recognizer] = []
        self._transcribers: list[_Transcriber] = []
        self._batch_detector: Lender[EngineHost] | None = None
        self._separators: list[tuple[EngineSpec, OnDemand[EngineHost]]] = []
        self._sound_tools: dict[str, tuple[EngineSpec, OnDemand[EngineHost]]] = {}
        self._diarizers: list[tuple[EngineSpec, OnDemand[EngineHost]]] = []
        self._of_texts: dict[Task, tuple[EngineSpec, OnDemand[EngineHost]]] = {}
        self._synthesizers: list[_Speaker] = []
        self._detector: VadBatcher | None = None
        self._work: list[asyncio.Task[None]] = []
        self._tasks: asyncio.TaskGroup | None = None

    # -- life ----------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Start every process and wait until all engines are warm. Raises VoiceError when one cannot be built."""
        standing = [spec for spec in self._specs if not spec.on_demand]
        self._hosts = [(spec, [self._host(spec.of_process(n)) for n in range(spec.processes)]) for spec in standing]
        hosts = list(self._all_hosts())
        outcomes = await asyncio.gather(*(host.start() for host in hosts), return_exceptions=True)
        for host, outcome in zip(hosts, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                if not (host.spec.optional and isinstance(outcome, VoiceError)):
                    await self.aclose()
                    raise outcome
                for _, started in self._hosts:
                    if host in started:
                        started.remove(host)
        self._tasks = asyncio.TaskGroup()
        await self._tasks.__aenter__()
        for spec, started in self._hosts:
            if started:
                self._employ(spec, started, self._tasks)
        for spec in self._specs:
            if spec.on_demand and spec.task is Task.SEPARATE:
                self._separators.append((spec, self.lanes.tool(spec)))
            elif spec.on_demand and spec.task is Task.DIARIZE:
                self._diarizers.append((spec, self.lanes.tool(spec)))
            elif spec.on_demand and spec.task is Task.TREAT:
                self._sound_tools.setdefault(spec.name, (spec, self.lanes.tool(spec)))
            elif spec.on_demand and spec.task is Task.RECOGNIZE:
                self._transcribers.append(_Transcriber(described(spec), self.lanes.transcriber(spec)))
            elif spec.on_demand and spec.task in _OF_TEXTS and spec.task not in self._of_texts:
                self._of_texts[spec.task] = (spec, self.lanes.tool(spec))
        for lane in self.lanes.work():
            self._tasks.create_task(lane, name="lend an engine")

    async def aclose(self) -> None:
        """Stop every process; what still waits for an engine fails with SHUTTING_DOWN. May be called twice."""
        for speaker in self._synthesizers:
            speaker.live.close()
        self.lanes.close()
        for task in self._work:
            task.cancel()
        tasks, self._tasks = self._tasks, None
        try:
            if tasks is not None:
                await tasks.__aexit__(None, None, None)  # raises what ended a scheduler, if something did
        finally:
            await asyncio.gather(*(host.aclose() for host in self._all_hosts()))

    def _host(self, spec: EngineSpec) -> EngineHost:
        limits = self._limits
        if limits is None and spec.task is Task.DETECT:
            limits = HostLimits(grace_s=_DETECT_GRACE_S)
        return EngineHost(spec, observer=self._observer, now=self._now, limits=limits)

    def _employ(self, spec: EngineSpec, hosts: list[EngineHost], tasks: asyncio.TaskGroup) -> None:
        if spec.task is Task.RECOGNIZE:
            scheduler = Scheduler(hosts, observer=self._observer, now=self._now, limits=self._scheduling)
            self._recognizers.append(_Recognizer(scheduler, self.lanes.recognizer(spec, scheduler)))
            self._work.append(tasks.create_task(scheduler.run(), name=f"schedule {spec.name}"))
        elif spec.task is Task.SYNTHESIZE:
            queue = SynthesisQueue(hosts, observer=self._observer, now=self._now)
            self._synthesizers.append(_Speaker(queue, self.lanes.speaker(spec, queue)))
        elif spec.task is Task.DETECT and self._detector is None:
            self._detector = VadBatcher(hosts[0].detect, now=self._now)
            self._batch_detector = self.lanes.host(spec, hosts[0])
            self._work.append(tasks.create_task(self._detector.run(), name="detect speech"))

    def _all_hosts(self) -> Iterator[EngineHost]:
        return chain.from_iterable(hosts for _, hosts in self._hosts)

    # -- state ---------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Every engine has a process that can work, or one that is started for the next who needs it."""
        groups = (hosts for _, hosts in self._hosts if hosts)
        return self._tasks is not None and all(
            any(host.alive or host.resting or host.waking for host in hosts) for hosts in groups
        )

    @property
    def offers(self) -> list[Offer]:
        """What each engine can do, those of higher preference first, then those for recordings only."""
        return [
            *(offers.standing(hosts) for _, hosts in self._hosts if hosts),
            *(offers.on_demand(able, lane, self.lanes.held(able.engine)) for able, lane in self._on_demand()),
        ]

    @property
    def capabilities(self) -> list[Capabilities]:
        """The same without how soon."""
        standing = (hosts[0].capabilities for _, hosts in self._hosts if hosts)
        return [*standing, *(able for able, _ in self._on_demand())]

    def _on_demand(self) -> Iterator[tuple[Capabilities, OnDemand[Any]]]:
        yield from ((one.able, one.lane) for one in self._transcribers)
        others = chain(self._separators, self._diarizers, self._sound_tools.values(), self._of_texts.values())
        yield from ((described(spec), lane) for spec, lane in others)

    def pids(self) -> list[int]:
        """The process numbers of all children."""
        return [host.pid for host in chain(self._all_hosts(), self.lanes.hosts) if host.pid is not None]

    # -- work ----------------------------------------------------------------------------------------

    def recognizer(self, language: str = AUTO, model: str = AUTO) -> Scheduler:
        """The best recogniser for a language (any tag of BCP 47) and a model (or engine) name; "auto" for any.

        Raises NOT_INSTALLED, with the command that ``install``s what is missing, and NOT_FOUND for a name nobody knows.
        """
        return self._recognizer(language, model).live

    def batch_recognizer(self, language: str = AUTO, model: str = AUTO) -> Lender[Scheduler]:
        """The same for work that is not to be felt by live sessions: borrow it for as long as the work takes."""
        return self._transcriber(language, model)[1]

    def transcriber(self, language: str = AUTO, model: str = AUTO) -> Capabilities:
        """Who that will be. Raises what ``batch_recognizer`` does."""
        return self._transcriber(language, model)[0]

    def speak(self, request: Speak, *, engine: str = AUTO, priority: Priority = Priority.SYNCHRONOUS) -> SpeechStream:
        """Have a clause spoken; errors come from the iteration, ``aclose()`` silences it at once."""
        for queue in (speaker.live for speaker in self._synthesizers):
            able = queue.capabilities
            if engine == able.engine or (engine == AUTO and _has(able, request.voice)):
                return queue.speak(request, priority=priority)
        if engine == AUTO and self._synthesizers:
            return self._synthesizers[0].live.speak(request, priority=priority)
        stream = SpeechStream(request)
        stream.fail(self._no_speaker(engine))
        return stream

    def batch_speaker(self, engine: str) -> Lender[SynthesisQueue]:
        """A synthesiser for work that is not to be felt by live sessions. Raises NOT_INSTALLED."""
        for speaker in self._synthesizers:
            if engine == speaker.live.capabilities.engine:
                return speaker.batch
        raise self._no_speaker(engine)

    async def clone(self, reference: Reference, *, engine: str = AUTO) -> VoicePrompt:
        """A prompt for ``Speak``, to be spoken by the engine it names. BAD_REQUEST when nobody speaks in the reference.

        Raises NOT_INSTALLED when nothing here clones.
        """
        for queue in (speaker.live for speaker in self._synthesizers):
            able = queue.capabilities
            if able.cloning and engine in (AUTO, able.engine):
                return VoicePrompt(able.engine, await queue.clone(reference))
        install = self._install(Task.SYNTHESIZE, engine)
        raise VoiceError(Code.NOT_INSTALLED, "no installed speech engine clones voices", install=install)

    @property
    def detector(self) -> VadBatcher:
        """Judges windows of all sessions. Raises NOT_INSTALLED when there is none."""
        if self._detector is None:
            raise self._no_detector()
        return self._detector

    @property
    def batch_detector(self) -> Lender[EngineHost]:
        """Judges windows without being felt by live sessions. Raises NOT_INSTALLED when there is none."""
        if self._batch_detector is None:
            raise self._no_detector()
        return self._batch_detector

    def diarizer(self) -> Lender[EngineHost]:
        """Tells speakers apart. Raises NOT_INSTALLED when nothing here can."""
        if not self._diarizers:
            install = self._install(Task.DIARIZE, AUTO)
            raise VoiceError(Code.NOT_INSTALLED, "nothing that tells speakers apart is installed", install=install)
        return self._diarizers[0][1]

    def separator(self, stems: Collection[str] = ()) -> Lender[EngineHost]:
        """Takes voices and the rest apart, or more: every one of ``stems``. Raises NOT_INSTALLED when nothing can."""
        wanted = set(stems) - _ANY_STEMS
        for spec, lender in self._separators:
            if wanted <= set(spec.stems):
                return lender
        install = self._install(Task.SEPARATE, AUTO)
        if not self._separators:
            raise VoiceError(Code.NOT_INSTALLED, "no engine that separates sound is installed", install=install)
        named = {"field": "stems"} if wanted else {}
        install = "voxline models pull htdemucs" + ("_6s" if wanted & {"guitar", "piano"} else "")
        what = f"no installed engine separates {' and '.join(sorted(wanted))}"
        raise VoiceError(Code.NOT_INSTALLED, what, install=install, **named)

    def sound_tool(self, name: str) -> Lender[EngineHost]:
        """The tool of that name (``engines.base.SoundTool``). Raises NOT_INSTALLED."""
        if name not in self._sound_tools:
            install = self._install(Task.TREAT, name)
            raise VoiceError(Code.NOT_INSTALLED, f"the sound tool {name} is not installed", install=install)
        return self._sound_tools[name][1]

    @property
    def of_texts(self) -> Mapping[Task, tuple[EngineSpec, OnDemand[EngineHost]]]:
        """The engines for work on texts (``Task.TEXT``, ``WRITE``, ``TRANSLATE``), and who lends them."""
        return self._of_texts

    def _recognizer(self, language: str, model: str) -> _Recognizer:
        able = [one for one in self._recognizers if model in (AUTO, *_names(one))]
        if not able:
            raise self._no_model(model)
        code = _code(language)
        if code in (AUTO, ""):
            return next((one for one in able if one.live.capabilities.detects_language), able[0])
        for one in able:
            if code in one.live.capabilities.languages:
                return one
        raise self._no_language(code)

    def _transcriber(self, language: str, model: str) -> tuple[Capabilities, Lender[Scheduler]]:
        """Who recognises a recording: one for recordings only, if it is named or nobody else knows the language."""
        named = [one for one in self._transcribers if model in (AUTO, one.able.model, one.able.engine)]
        able = [one for one in named if _knows(one.able, language)]
        try:
            live = self._recognizer(language, model)
        except VoiceError:
            if able:
                return able[0].able, able[0].lane
            if named and model != AUTO:
                raise self._no_language(_code(language)) from None
            raise
        return live.live.capabilities, live.batch

    # -- what is missing -----------------------------------------------------------------------------

    def _no_model(self, model: str) -> VoiceError:
        if model == AUTO:
            install = self._install(Task.RECOGNIZE, AUTO)
            return VoiceError(Code.NOT_INSTALLED, "no speech recogniser is installed", install=install)
        if any(model in (one.able.model, one.able.engine) for one in self._transcribers):
            allowed = [next(filter(None, _names(one))) for one in self._recognizers]
            message = f"{model} is for recordings, sent to the job APIs; nobody can speak to it live"
            return VoiceError(Code.BAD_REQUEST, message, field="model", allowed=allowed)
        if any(model == one.name for one in models.PUBLISHED):
            command = f"voxline models pull {model}"
            return VoiceError(Code.NOT_INSTALLED, f"the model {model} is not installed", install=command)
        if any(model == spec.name and spec.task is Task.RECOGNIZE for spec in registry.BUILT_IN):
            install = self._install(Task.RECOGNIZE, model)
            return VoiceError(Code.NOT_INSTALLED, f"{model} is not installed", install=install)
        allowed = [next(filter(None, _names(one))) for one in self._recognizers]
        return VoiceError(Code.NOT_FOUND, "there is no model of that name", field="model", allowed=allowed)

    def _no_detector(self) -> VoiceError:
        install = self._install(Task.DETECT, AUTO)
        return VoiceError(Code.NOT_INSTALLED, "no voice activity detector is installed", install=install)

    def _no_speaker(self, engine: str) -> VoiceError:
        install = self._install(Task.SYNTHESIZE, engine)
        return VoiceError(Code.NOT_INSTALLED, f"the speech engine {engine} is not installed", install=install)

    def _no_language(self, code: str) -> VoiceError:
        for spec in chain(self._specs, registry.BUILT_IN):
            if spec.task is Task.RECOGNIZE and code in spec.languages:
                message = f"no installed engine recognises {code}"
                return VoiceError(Code.NOT_INSTALLED, message, field="language", install=spec.install)
        every = [one.live.capabilities for one in self._recognizers] + [one.able for one in self._transcribers]
        known = sorted({*chain.from_iterable(able.languages for able in every)})
        return VoiceError(Code.NOT_FOUND, "no engine knows that language", field="language", allowed=known)

    def _install(self, task: Task, engine: str) -> str:
        specs = [spec for spec in chain(self._specs, registry.BUILT_IN) if spec.task is task and spec.install]
        named = [spec for spec in specs if spec.name == engine]
        return next((spec.install for spec in [*named, *specs]), "")


def _names(recognizer: _Recognizer) -> tuple[str, str]:
    able = recognizer.live.capabilities
    return able.model, able.engine


def _has(able: Capabilities, voice: str) -> bool:
    return any(voice == one.id for one in able.voices)


def _code(language: str) -> str:
    return language.lower().replace("_", "-").partition("-")[0]


def _knows(able: Capabilities, language: str) -> bool:
    return _code(language) in (AUTO, "", *able.languages)
