"""What a voice can be asked for (A10), from the models that check it."""

from collections.abc import Iterable
from typing import Any, get_args

from protocol.dialects.studio.recordings import OutputFormat, SeparateForm
from protocol.dialects.studio.speech import DesignForm
from protocol.languages import language_name

_CHOICES = {"genders": "gender", "ages": "age", "pitches": "pitch", "styles": "style"}
_NUMBERS = ("speed", "num_step", "guidance_scale")


def options_body(languages: Iterable[str]) -> dict[str, Any]:
    """``GET /api/v1/options``; ``languages`` are the codes of what the voices here speak."""
    schema = DesignForm.model_json_schema()["properties"]
    lists = {name: [value for value in schema[field]["enum"] if value] for name, field in _CHOICES.items()}
    fields = DesignForm.model_fields
    defaults = {name: fields[name].default for name in (*_NUMBERS, "denoise", "async_mode", "language")}
    ranges = {name: {"min": schema[name]["minimum"], "max": schema[name]["maximum"]} for name in _NUMBERS}
    return {
        "languages": ["auto", *sorted({language_name(code) for code in languages})],
        **lists,
        "defaults": defaults,
        "ranges": ranges,
        "output_formats": list(get_args(OutputFormat)),
        "separation_modes": list(get_args(SeparateForm.model_fields["mode"].annotation)),
    }
