"""Somebody with a document in one hand and a shell in the other."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.api.serving import PATIENCE_S, Api, Person, examples, shell


@dataclass(frozen=True, slots=True)
class Document:
    """What a document calls the server, a key, and files that are here under another name."""

    commands: Mapping[str, str]
    address: str
    key: str
    files: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, name: str, address: str, key: str, **files: str) -> "Document":
        """The document whose commands are in a file of ``examples``."""
        return cls(examples(name), address, key, files)


class Reader:
    """Runs a document's commands and programs against a server, in a directory with the files that they name."""

    def __init__(self, document: Document, api: Api, person: Person, desk: Path) -> None:
        self.document, self.api, self.person, self.desk = document, api, person, desk

    def written(self, text: str, **changes: str) -> str:
        """The document's text, with the server's address, a key, and ``changes`` of ids and names it cannot know."""
        document = self.document
        assert all(old in text for old in (document.address, *changes))
        for old, new in {document.address: self.api.base, document.key: self.person.key, **document.files}.items():
            text = text.replace(old, new)
        for old, new in changes.items():
            text = text.replace(old, new)
        return text

    def run(self, name: str, **changes: str) -> str:
        """What a command prints."""
        return shell(self.written(self.document.commands[name], **changes), self.desk)

    def ask(self, name: str, **changes: str) -> dict[str, Any]:
        """The JSON that a command prints."""
        answer: dict[str, Any] = json.loads(self.run(name, **changes))
        return answer

    def program(self, *command: str) -> str:
        """What a program prints."""
        done = subprocess.run(command, cwd=self.desk, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout
