"""Checkpoints of random weights, made once for all tests of a process."""

from pathlib import Path

import pytest

from tests.checkpoints.nano_vits.make_nano_vits import VIETNAMESE, make


@pytest.fixture(scope="session")
def voices(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of VITS checkpoints: English, Vietnamese, and Russian by way of Latin letters, with two speakers."""
    root = tmp_path_factory.mktemp("vits")
    make(root / "mms-tts-eng")
    make(root / "mms-tts-vie", "vie", VIETNAMESE)
    make(root / "mms-tts-rus", "rus", roman=True, speakers=2)
    return root
