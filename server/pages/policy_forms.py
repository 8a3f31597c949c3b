"""The forms in which an admin changes the policy: fields from the policy in force, a patch from what was filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import BaseModel

from accounts.policy import Plan, Policy
from protocol.pricing import Rounding, source

_TYPES = ("int8", "int8_float16", "float16", "bfloat16", "float32")
_COMPUTE = [("", "the server's own"), *((one, one) for one in _TYPES)]
PRICES, PLANS, STT = "prices", "plans", "stt"
TITLES = {PRICES: "Prices", PLANS: "Plans and caps", STT: "Speech to text v2"}


@dataclass(frozen=True, slots=True)
class FormField:
    """One input; ``name`` is its place in the policy, its parts joined by a slash."""

    name: str
    label: str
    value: str
    type: str = "number"
    hint: str = ""
    extra: str = ""
    options: Sequence[tuple[str, str]] = ()


@dataclass(frozen=True, slots=True)
class FormGroup:
    """Inputs that belong together."""

    title: str
    fields: Sequence[FormField]
    note: str = field(default="")


def groups(kind: str, policy: Policy) -> list[FormGroup]:
    """The form of one of the three kinds."""
    return {PRICES: _prices, PLANS: _plans, STT: _stt}[kind](policy)


def patch(kind: str, policy: Policy, filled: Mapping[str, str]) -> dict[str, object]:
    """What a filled form changes; a value that is no number is left as text, for the policy to refuse by its name."""
    changes: dict[str, object] = {}
    for one in (one for group in groups(kind, policy) for one in group.fields):
        if one.name not in filled or filled[one.name].strip() == one.value:
            continue
        *parents, last = one.name.split("/")
        inner = changes
        for parent in parents:
            inner = inner.setdefault(parent, {})  # type: ignore[assignment]
        inner[last] = _read(one, filled[one.name].strip())
    return changes


def field_of(problem: object) -> str:
    """The input a complaint of the policy belongs to: its dotted field, with slashes."""
    parts = str(problem).split(".")
    if parts[0] == PRICES and len(parts) > 3:  # a route has a dot of its own
        parts = [PRICES, ".".join(parts[1:3]), *parts[3:]]
    return "/".join(parts)


def _read(one: FormField, text: str) -> object:
    if one.options and {name for name, _ in one.options} == {"true", "false"}:
        return text == "true"
    if one.type != "number":
        return text
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def _prices(policy: Policy) -> list[FormGroup]:
    rules = [(rule.value, rule.value) for rule in Rounding]
    made = []
    for route, price in policy.prices.routes():
        place = f"prices/{route.value}"
        rows = [
            FormField(f"{place}/credits", "Credits", f"{price.credits:f}", "text", extra='inputmode="decimal"'),
            FormField(f"{place}/per", "for each", str(price.per), hint=price.unit.value, extra='min="1"'),
            FormField(f"{place}/rounding", "Rounding", price.rounding.value, options=rules),
        ]
        made.append(FormGroup(route.value, rows, f"Default from {source(route)}."))
    return made


def _plans(policy: Policy) -> list[FormGroup]:
    accounts = FormGroup(
        "New accounts and jobs",
        [
            FormField("default_plan", "Plan of a new account", policy.default_plan, options=_names(policy.plans)),
            FormField("starting_credits", "Credits of a new account", str(policy.starting_credits), extra='min="0"'),
            FormField("server_jobs", "Jobs of all users at once", str(policy.server_jobs), extra='min="0"'),
            FormField("retention_hours", "Hours that files are kept", f"{policy.retention_hours:g}", "text"),
        ],
    )
    plans = [
        FormGroup(f"Plan “{name}”", _numbers(f"plans/{name}", plan), "0 means no limit.")
        for name, plan in policy.plans.items()
    ]
    return [accounts, *plans, FormGroup("Uploads", _numbers("upload", policy.upload), "0 means no limit.")]


def _stt(policy: Policy) -> list[FormGroup]:
    chosen = policy.stt_v2
    yes_no = [("true", "yes"), ("false", "no")]
    rows = [
        FormField("stt_v2/model", "Model", chosen.model, "text", hint="“auto”, or the name of an installed one"),
        FormField("stt_v2/compute_type", "Compute type", chosen.compute_type, options=_COMPUTE),
        FormField("stt_v2/beam_size", "Beam size", str(chosen.beam_size), hint="1 is fastest", extra='min="1"'),
        FormField("stt_v2/vad_filter", "Leave silence out", _yes(chosen.vad_filter), options=yes_no),
        FormField("stt_v2/vad_threshold", "Speech threshold", f"{chosen.vad_threshold:g}", extra='step="any"'),
        FormField("stt_v2/temperature", "Temperature", f"{chosen.temperature:g}", extra='step="any"'),
        FormField("stt_v2/initial_prompt", "Prompt", chosen.initial_prompt, "text", hint="names and terms to expect"),
        FormField("stt_v2/word_timestamps", "Times of words", _yes(chosen.word_timestamps), options=yes_no),
        FormField(
            "stt_v2/idle_unload_s", "Unload when idle, seconds", str(chosen.idle_unload_s), hint="0 keeps it loaded"
        ),
    ]
    return [FormGroup("What a v2 transcription does where the request does not say", rows)]


def labels(model: type[BaseModel] = Plan) -> dict[str, str]:
    """How the fields of a plan (or of the caps) are called on a page."""
    return {name: _label(name) for name in model.model_fields}


def _label(name: str) -> str:
    *words, last = name.replace("srt", "SRT").replace("api", "API access").replace("chars", "characters").split("_")
    words.append({"mb": "(MiB)", "kb": "(KiB)", "s": "(seconds)"}.get(last, last))
    text = " ".join(words)
    return text[0].upper() + text[1:]


def _numbers(place: str, model: BaseModel) -> list[FormField]:
    said, yes_no = labels(type(model)), [("true", "yes"), ("false", "no")]
    return [
        FormField(f"{place}/{name}", said[name], _yes(value), options=yes_no)
        if isinstance(value, bool)
        else FormField(f"{place}/{name}", said[name], str(value), extra='min="0"')
        for name, value in model.model_dump().items()
    ]


def _names(names: Mapping[str, object]) -> list[tuple[str, str]]:
    return [(name, name) for name in names]


def _yes(value: bool) -> str:
    return "true" if value else "false"
