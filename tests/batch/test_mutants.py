"""What guards the money is taken out, one guard at a time: the tests see it, each time (R13)."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PARTS = ("protocol", "engines", "accounts", "batch", "stream", "server", "loadtest", "tests", "pyproject.toml")
TESTS = ("tests/accounts/test_ledger.py", "tests/batch/test_queue.py", "tests/batch/test_watcher.py")

# Where, what, and what stands in its place.
MUTANTS = {
    "no fence": ("batch/queue.py", "(job.c.id == job_id) & (job.c.attempt == attempt)", "job.c.id == job_id"),
    "no status": ("batch/endings.py", "job.c.status.in_(sorted(before)), *fence", "*fence"),
    "a hold resolves again": ("accounts/ledger.py", "hold.c.state == HoldState.OPEN, fits", "fits"),
    "entries that do not sum": ("accounts/ledger.py", "Account.AVAILABLE: amount - spent}", "Account.AVAILABLE: 0}"),
    "no look at the balance": ("accounts/ledger.py", "if units > available:", "if units < 0:"),
    "no turns for one user": ("accounts/ledger.py", "query.with_for_update()", "query"),
    "finished and not paid": ("batch/endings.py", "await self._ledger.capture(connection, row.hold_id)", "pass"),
    "failed and not paid back": ("batch/endings.py", "await self._ledger.release(connection, row.hold_id)", "pass"),
    "keys are forgotten": ("batch/queue.py", "if replayed is not None:", "if False:"),
    "the past may change": ("accounts/schema.py", "BEFORE UPDATE ON {0} BEGIN", "BEFORE UPDATE ON {0} WHEN 0 BEGIN"),
}


def run_tests(repository: Path, copy: Path, place: str, guard: str, nothing: str) -> subprocess.CompletedProcess[str]:
    """Run the tests in a copy of the checkout in which the guard is replaced."""
    for part in PARTS:
        if (repository / part).is_dir():
            shutil.copytree(repository / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(repository / part, copy / part)
    text = (copy / place).read_text(encoding="utf-8")
    assert guard in text, f"{place} no longer says {guard!r}"
    (copy / place).write_text(text.replace(guard, nothing), encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-m", "not nightly", *TESTS]
    return subprocess.run(command, cwd=copy, capture_output=True, text=True, check=False, timeout=600)


@pytest.mark.nightly
@pytest.mark.parametrize("name", MUTANTS)
def test_a_guard_that_is_taken_out_is_missed(name: str, repository: Path, tmp_path: Path) -> None:
    run = run_tests(repository, tmp_path, *MUTANTS[name])
    assert run.returncode == 1 and " failed" in run.stdout, f"nothing failed:\n{run.stdout[-3000:]}{run.stderr[-1000:]}"


@pytest.mark.nightly
def test_nothing_fails_with_all_guards_in_place(repository: Path, tmp_path: Path) -> None:
    run = run_tests(repository, tmp_path, "batch/queue.py", "attempt", "attempt")
    assert run.returncode == 0, run.stdout[-3000:]
