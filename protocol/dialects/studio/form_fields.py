"""The kinds of fields of seed A's forms: every value comes as text (A7)."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from protocol.checking import Speakable as Speakable
from protocol.checking import Wrong
from protocol.language_names import language_code
from protocol.work import Style

TRUE, FALSE = ("true", "1", "yes"), ("false", "0", "no")
BOOLEANS = [*TRUE, *FALSE]
_BOOLEAN_SCHEMA: dict[str, Any] = {"type": "string", "enum": ["true", "false", "1", "0", "yes", "no"]}


def boolean(value: object) -> bool | None:
    """A47's words, lower case only; None for anything else, ``True`` among it."""
    if isinstance(value, bool):  # a default
        return value
    return True if value in TRUE else False if value in FALSE else None


def _strict(value: object) -> object:
    truth = boolean(value)
    if truth is None:
        raise Wrong("one of " + ", ".join(BOOLEANS), BOOLEANS)
    return truth


def _language(value: str) -> str:
    code = language_code(value)
    if code is None:
        raise Wrong('the English name of a language ("vietnamese"), its code ("vi"), or "auto"')
    return code


# v1's: a word that is none is refused. v2's: it is ignored, and the admin's default stands (A47).
StrictBool = Annotated[bool, BeforeValidator(_strict), WithJsonSchema(_BOOLEAN_SCHEMA)]
LenientBool = Annotated[
    bool | None, BeforeValidator(boolean), WithJsonSchema({"type": "string", "examples": ["1", "0"]})
]
Language = Annotated[str, AfterValidator(_language), WithJsonSchema({"type": "string", "examples": ["vietnamese"]})]
VoiceId = Annotated[int, Field(ge=1, le=2**31 - 1, description="Id of a saved voice, from GET /api/v1/voices.")]


class StudioForm(BaseModel):
    """A request of seed A; fields nobody knows are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class SpeechForm(StudioForm):
    """What every request for speech has (A14-A18)."""

    text: Speakable = Field(description="The text to speak.")
    language: Language = Field("auto", description="Its language, by name or code.")
    speed: float = Field(1.0, ge=0.1, le=4.0, allow_inf_nan=False, description="How fast; 1.0 is the voice's own pace.")
    num_step: int = Field(
        32, ge=1, le=200, description="Diffusion steps; engines without diffusion have no use for it."
    )
    denoise: StrictBool = Field(True, description="Remove noise from the result.")
    async_mode: StrictBool = Field(False, description="Answer with a job at once instead of waiting for the sound.")

    def manner(self) -> Style:
        """How it is to be spoken."""
        return Style(language=self.language, speed=self.speed, num_step=self.num_step, denoise=self.denoise)
