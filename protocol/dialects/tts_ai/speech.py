"""Seed D's requests for speech: a text (D5), a text in a cloned voice (D9), a turn of a conversation (D18)."""

from typing import Literal

from pydantic import Field

from protocol.checking import Plain, Speakable
from protocol.dialects.tts_ai.fields import Asked, Boolean, Language, Name, Speed, WebhookUrl
from protocol.errors import Code, VoiceError
from protocol.work import AnyVoice, Conversing, Delivery, Line, Said, Speaking, Style, VoiceClone

AudioFormat = Literal["mp3", "wav", "flac", "ogg"]
MAX_PROMPT = 8_000


class TtsRequest(Asked):
    """``POST /v1/tts/`` (D5)."""

    model: Name = Field(description="Which tier; GET /v1/models/ lists them.")
    text: Speakable = Field(description="At most as many characters as the plan allows.")
    voice: Name = Field(description="A voice of GET /v1/voices/.")
    format: AudioFormat = "mp3"
    speed: Speed = 1.0
    language: Language = Field("auto", description="The text's language; found out where it is not given.")
    stream: Boolean = Field(False, description="Send the sound while it is being made.")
    webhook_url: WebhookUrl | None = None

    def checked(self) -> "TtsRequest":
        """The request, if its fields go together. Raises BAD_REQUEST."""
        if self.stream and self.webhook_url:
            raise VoiceError(Code.BAD_REQUEST, "stream and webhook_url exclude each other.", field="webhook_url")
        return self

    def work(self, voice: AnyVoice, language: str) -> Speaking:
        """What is asked for."""
        style, delivery = Style(language=language, speed=self.speed), Delivery(format=self.format)
        return Speaking(lines=(Line(text=self.text, voice=voice),), style=style, delivery=delivery)


class CloneForm(Asked):
    """``POST /v1/tts/clone/`` (D9), in the voice of the file ``reference_audio``."""

    text: Speakable
    model: Name = "chatterbox"
    format: AudioFormat = "mp3"
    language: Language = "auto"
    webhook_url: WebhookUrl | None = None

    def work(self, upload: str) -> Speaking:
        """What is asked for, in the voice of a received file."""
        line = Line(text=self.text, voice=VoiceClone(upload=upload))
        return Speaking(lines=(line,), style=Style(language=self.language), delivery=Delivery(format=self.format))


class ChatForm(Asked):
    """``POST /v1/voice-chat/`` (D18): ``text``, or the file ``audio`` in its place."""

    text: Plain = Field("", max_length=16_000, description="What is said, where no audio is sent.")
    voice: Name = "af_bella"
    tts_model: Name = "kokoro"
    system_prompt: Plain = Field("", max_length=MAX_PROMPT, description="Who the answer comes from, and how.")
    conversation_id: Name | None = Field(None, description="A conversation to go on with.")

    def checked(self, *, audio: bool) -> "ChatForm":
        """The request, if it has exactly one of text and audio. Raises BAD_REQUEST."""
        if audio == bool(self.text):
            wrong = "Give either audio or text, not both." if audio else "audio or text is required."
            raise VoiceError(Code.BAD_REQUEST, wrong, field="text" if not audio else "audio")
        return self

    def work(self, voice: AnyVoice, before: tuple[Said, ...], upload: str = "", seconds: float = 0.0) -> Conversing:
        """What is asked for, after the turns ``before``; of a received file where there is no text."""
        return Conversing(
            text=self.text,
            upload=upload,
            seconds=seconds,
            system_prompt=self.system_prompt,
            before=before,
            voice=voice,
        )
