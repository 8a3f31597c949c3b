"""What a pipeline is: it turns a job's work into files, with what the worker hands it, and knows nothing of queues.

A pipeline may be run again from the beginning, by another worker on another machine, so it keeps everything it makes
in its own directory. It fails with a VoiceError; being cancelled (the job was taken away, the server stops) leaves
nothing but that directory behind.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from batch.pipelines.prompts import KeptPrompts
from batch.texts import Texts
from engines.catalogue import Catalogue
from engines.fleet import Fleet
from protocol.requests import Priority
from protocol.work import Music, Segment, Work


@dataclass(frozen=True, slots=True)
class JobContext:
    """One attempt at one job."""

    job_id: str
    user_id: int
    attempt: int
    directory: Path  # empty, of this attempt alone; removed when it is over
    progress: Callable[[float], None]  # the share that is done, 0 to 1; cheap, from any thread
    priority: Priority = Priority.BATCH  # SYNCHRONOUS while somebody waits for the job on an open connection

    def step(self, before: float, after: float) -> Callable[[float], None]:
        """Tells the progress of a step that takes the work from one share to another."""

        def tell(share: float) -> None:
            self.progress(min(1.0, before + (after - before) * share))

        return tell


@dataclass(frozen=True, slots=True)
class ProducedFile:
    """A file in the context's directory that is to become an artifact."""

    role: str  # as protocol.work.Made
    path: Path
    media_type: str


@dataclass(frozen=True, slots=True)
class Produced:
    """What came of the work: ``protocol.work.Outcome`` before its files have names."""

    files: tuple[ProducedFile, ...]
    engine: str = ""  # who did it, as Capabilities.engine
    seconds: float = 0.0  # of sound, made or heard
    text: str = ""
    language: str = ""  # ISO 639-1
    segments: tuple[Segment, ...] = ()
    speakers: int = 0
    note: str = ""
    music: Music | None = None
    source_text: str = ""
    source_language: str = ""


class SavedVoice(Protocol):
    """As much of a saved voice as speaking with it takes (``accounts.voices.SavedVoice``)."""

    @property
    def type(self) -> str: ...  # design or clone

    @property
    def language(self) -> str: ...

    @property
    def design(self) -> str: ...  # JSON of protocol.work.VoiceDesign; "" for a clone


class SavedVoices(Protocol):
    """The users' saved voices (``accounts.voices.SavedVoices``)."""

    async def get(self, user_id: int, voice_id: int) -> SavedVoice:
        """Raises NOT_FOUND for a voice that is not this user's."""
        ...

    async def reference(self, user_id: int, voice_id: int) -> bytes | None:
        """A clone's sound, as the file it was kept in."""
        ...


class Uploads(Protocol):
    """The files received for jobs (``batch.uploads``)."""

    def path(self, name: str) -> Path:
        """Where the upload lies. Raises GONE when it is no longer there."""
        ...


class Media(Protocol):
    """Files of users, read in a process of their own (``batch.media``)."""

    async def decode(self, path: Path, rate: int, channels: int = 1, *, directory: Path | None = None) -> Path:
        """The sound of a file as s16le samples (interleaved) in a new file, in ``directory`` if one is given.

        The caller removes it. Raises UNSUPPORTED_MEDIA and TOO_LARGE.
        """
        ...


@dataclass(frozen=True, slots=True)
class Tools:
    """What pipelines work with; one set for each worker process."""

    fleet: Fleet
    catalogue: Catalogue
    voices: SavedVoices
    media: Media
    uploads: Uploads
    texts: Texts | None = None  # who translates and answers; None: nobody
    prompts: KeptPrompts = field(default_factory=KeptPrompts)  # of saved voices


W_contra = TypeVar("W_contra", bound=Work, contravariant=True)


class Pipeline(Protocol[W_contra]):
    """``run`` of a module in this package: does one kind of work."""

    def __call__(self, work: W_contra, context: JobContext, tools: Tools) -> Awaitable[Produced]: ...
