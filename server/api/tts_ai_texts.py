"""Whether what seed D's routes need of texts can be done here, asked before anything is paid."""

from batch.texts import Texts
from protocol.errors import Code, VoiceError


def needs(texts: Texts, name: str) -> None:
    """NOT_INSTALLED, with the command that ``install``s what is missing, unless texts can be worked on like that."""
    for ability in texts.abilities():
        if ability.name == name and not ability.model:
            what = {"chat": "No language model", "translate": "Nothing that translates"}.get(name, f"Nothing to {name}")
            raise VoiceError(Code.NOT_INSTALLED, f"{what} is installed or set on this server.", install=ability.install)
