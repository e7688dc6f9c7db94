"""A few of the crash points of `python -m benchmarks crash_points`: each must be survived without a trace."""

from pathlib import Path

import pytest

from benchmarks.crash_points import judged
from forge_dagster.home import PROJECT

pytestmark = pytest.mark.system


def test_killed_while_saving_a_training_ends_with_the_same_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(PROJECT)
    monkeypatch.setenv("FORGE_THREADS", "1")
    counts = judged("ours", tmp_path / "chaos", points=6, jobs=2)
    assert counts == {"PASS": 7}, "six crash points and the control"
