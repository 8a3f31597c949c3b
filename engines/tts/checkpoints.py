"""Speech models on disk: directories as the hub's clients leave them, told apart by what they say they are.

A directory is a checkpoint when it holds a ``config.json`` of the wanted ``model_type``. Nothing is downloaded and no
weights are read here, so a directory of many models is looked through in a moment.
"""

import json
from pathlib import Path

VITS, OMNIVOICE = "vits", "omnivoice"

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# MMS-TTS names its checkpoints by ISO 639-3, clients their languages by ISO 639-1.
_CODES = (
    "afr:af amh:am ara:ar asm:as azb:az azj:az bak:ba bel:be bul:bg ben:bn bod:bo bre:br cat:ca ces:cs cym:cy dan:da "
    "deu:de ell:el eng:en spa:es est:et eus:eu fas:fa fin:fi fao:fo fra:fr gle:ga glg:gl guj:gu hau:ha haw:haw heb:he "
    "hin:hi hrv:hr hat:ht hun:hu hye:hy ind:id isl:is ita:it jpn:ja jav:jw kat:ka kaz:kk khm:km kan:kn kor:ko lat:la "
    "ltz:lb lin:ln lao:lo lit:lt lav:lv mlg:mg mri:mi mkd:mk mal:ml mon:mn mar:mr zlm:ms msa:ms mlt:mt mya:my nep:ne "
    "npi:ne nld:nl nno:nn nob:no nor:no oci:oc pan:pa pol:pl pus:ps por:pt ron:ro rus:ru san:sa snd:sd sin:si slk:sk "
    "slv:sl sna:sn som:so sqi:sq srp:sr sun:su swe:sv swh:sw swa:sw tam:ta tel:te tgk:tg tha:th tuk:tk tgl:tl tur:tr "
    "tat:tt ukr:uk urd:ur uzb:uz vie:vi yid:yi yor:yo zho:zh cmn:zh"
)
_SHORT = dict(pair.split(":") for pair in _CODES.split())


def find(root: Path, kind: str) -> list[Path]:
    """The checkpoints of a ``kind`` at ``root`` itself or right under it, by name; only those with their weights."""
    if not root.is_dir():
        return []
    folders = [root, *sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))]
    return [folder for folder in folders if _is_one(folder, kind)]


def language_of(directory: Path) -> str:
    """The language a checkpoint says it speaks, or its directory's name does ("mms-tts-vie")."""
    written = read_json(directory / "tokenizer_config.json").get("language")
    name = str(written or directory.resolve().name.rpartition("mms-tts-")[2]).lower()
    return _SHORT.get(name, _SHORT.get(name.partition("-")[0], name))


def read_json(path: Path) -> dict[str, object]:
    """The object in a file; empty for anything else."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def _is_one(directory: Path, kind: str) -> bool:
    if read_json(directory / "config.json").get("model_type") != kind:
        return False
    return any((directory / name).is_file() for name in _WEIGHTS)
