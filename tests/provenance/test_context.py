"""Progress goes to the run's folder at once and to its events now and then; SIGTERM is a flag."""

import os
import signal
from pathlib import Path

import pytest

from forge_dagster.home import Home
from forge_dagster.provenance import context
from forge_dagster.provenance.run import ProgressFile, Run


def _context(home: Home, tmp_path: Path, said: list[str]) -> context.RecordedContext:
    progress = ProgressFile(Run(home, "r"), "a")
    return context.RecordedContext(work=tmp_path, beside=tmp_path, cache=tmp_path, progress=progress, say=said.append)


def test_progress_is_said_now_and_then(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    made = _context(home, tmp_path, said)
    made.progress(1, 9, "loss 3.0")
    assert not said
    monkeypatch.setattr(context, "SECONDS_BETWEEN_MESSAGES", 0.0)
    made.progress(2, 9, "loss 2.0")
    made.progress(3, 9)
    assert said == ["2 of 9: loss 2.0", "3 of 9"]


def test_sigterm_is_seen_and_then_left_to_whom_it_belonged(home: Home, tmp_path: Path) -> None:
    before, made = signal.getsignal(signal.SIGTERM), _context(home, tmp_path, [])
    with made.watching_signals():
        assert not made.cancelled()
        os.kill(os.getpid(), signal.SIGTERM)
        assert made.cancelled()
    assert signal.getsignal(signal.SIGTERM) == before
