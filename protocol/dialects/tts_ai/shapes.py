"""The shapes of seed D's answers: texts, addresses, tasks, events (D8, D11, D16, D18, D23).

The models are the OpenAPI document's too. A field that has nothing to say is left out, as in the document's examples.
"""

from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Body = dict[str, Any]


class Task(StrEnum):
    """Which request a task came from."""

    TTS = "tts"
    CLONE = "tts_clone"
    STT = "stt"
    CONVERT_VOICE = "voice_convert"
    TRANSLATE = "speech_translate"
    RESHAPE = "speech_to_speech"
    ENHANCE = "audio_enhance"
    SEPARATE = "audio_separate"
    DEECHO = "audio_de_echo"
    ANALYZE = "audio_analyze"
    CONVERT = "audio_convert"
    CHAT = "voice_chat"


Status = Literal["queued", "processing", "success", "failed", "cancelled"]


class Reply(BaseModel):
    """An answer."""

    model_config = ConfigDict(extra="forbid")

    def body(self) -> Body:
        """As JSON, without what there is not."""
        return self.model_dump(mode="json", exclude_none=True)


class Word(Reply):
    """A word of a segment, in seconds."""

    word: str
    start: float
    end: float


class Segment(Reply):
    """A stretch of a transcript, in seconds."""

    start: float
    end: float
    text: str
    speaker: str | None = None
    words: list[Word] | None = None


class Transcript(Reply):
    """D8."""

    text: str
    language: str
    duration: float
    segments: list[Segment]


class Translation(Reply):
    """D11."""

    original_text: str
    translated_text: str
    source_language: str
    target_language: str
    audio_url: str
    credits_used: int | float


class Chat(Reply):
    """D18."""

    conversation_id: str
    user_text: str
    ai_text: str
    audio_url: str
    credits_used: int | float


class Music(Reply):
    """D16."""

    key: str
    scale: Literal["Major", "Minor"]
    bpm: float
    time_signature: str
    camelot: str
    compatible_keys: list[str]


class Stems(Reply):
    """What a recording was taken apart into (D14): the address of each file, by what it holds."""

    task_id: str
    status: Status
    stems: dict[str, str]
    duration: float
    engine: str
    credits_used: int | float


class Accepted(Reply):
    """A task that is not waited for (D23)."""

    task_id: str
    status: Status
    result_url: str
    credits_used: int | float
    created_at: str


class File(Reply):
    """A file that was made."""

    role: str
    url: str
    content_type: str
    size: int


class TaskReply(Reply):
    """A task as ``GET /v1/results/{task_id}`` tells of it."""

    task_id: str
    type: Task
    status: Status
    progress: int
    result_url: str
    credits_used: int | float
    created_at: str
    completed_at: str | None = None
    engine: str | None = None
    note: str | None = None
    files: list[File] | None = None
    expired: bool | None = None
    result: Transcript | Translation | Chat | Music | Stems | None = None
    error: dict[str, Any] | None = None


class Event(Reply):
    """What is posted to ``webhook_url`` (D23)."""

    event: Literal["task.completed", "task.failed"]
    task_id: str
    status: Status
    result_url: str
    credits_used: int | float
    created_at: str
    completed_at: str
    error: dict[str, Any] | None = None
