"""``voxline demo``, as a person without a terminal sees it: through a real server process, to the last line."""

import re
import subprocess
import sys
from pathlib import Path

from server.commands.demo import SENTENCES, demonstration_words
from tests.checkpoints.nano_whisper.vocabulary import ENGLISH, VIETNAMESE, is_held_out
from tests.server.conftest import environment

_ROOT = Path(__file__).resolve().parents[2]


def test_its_sentences_were_never_trained_on_and_its_words_are_counted() -> None:
    assert all(is_held_out(sentence) for sentence, _ in SENTENCES)
    assert demonstration_words() == len({*ENGLISH, *VIETNAMESE})


def test_the_demonstration_speaks_hears_and_answers() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "server.cli", "demo"],
        cwd=_ROOT, env=environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert shown.returncode == 0, shown.stderr
    assert f"a demonstration model of {demonstration_words()} words" in shown.stdout
    assert shown.stdout.count(" s  ... ") >= 2 * len(SENTENCES), "partials, revised as the speech goes on"
    rows = re.findall(r"^(.+?) {2,}(.+?) {2,}(yes|no) +(\d+) ms", shown.stdout, re.MULTILINE)
    assert [said.strip() for said, *_ in rows[: len(SENTENCES)]] == [sentence for sentence, _ in SENTENCES]
    assert len(rows) == len(SENTENCES) + 1 and all(right == "yes" for *_, right, _ in rows), shown.stdout
    assert all(100 < int(delay) < 3000 for *_, delay in rows)
