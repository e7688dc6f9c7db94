"""The log goes on after an interruption as if there had been none, and becomes tables and plots."""

import csv
import os
from pathlib import Path
from typing import Any

import pytest

from forge_dagster.training.log import Log, read, write_csv, write_router_csv
from forge_dagster.training.plots import draw

LAYER = {"shares": [0.5, 0.3, 0.2], "entropy": 0.94, "dropped": 0.0}


def _row(step: int, loss: float) -> dict[str, Any]:
    return {"step": step, "tokens": (step + 1) * 10, "loss": loss, "grad_norm": 1.25, "tokens_per_second": 1000.0}


def _rows() -> list[dict[str, Any]]:
    rows = [_row(step, 8 / (step + 1)) for step in range(300)]
    del rows[7]["loss"]
    for step in (100, 200):
        rows[step] |= {"validation/a": 1.0, "validation/b": 2.0, "router": [LAYER, LAYER]}
    return rows


def test_rows_after_the_checkpoint_are_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = Log(path, steps_done=0)
    for step in range(5):
        log.add(_row(step, 0.1 + step))
    log.sync()
    log.close()
    with path.open("a") as file:
        file.write('{"step": 5, "tok')  # torn by a crash

    log = Log(path, steps_done=3)
    log.add(_row(3, 9.0))
    log.close()
    assert read(path) == [_row(0, 0.1), _row(1, 1.1), _row(2, 2.1), _row(3, 9.0)]


def test_a_crash_while_it_is_taken_up_costs_no_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "log.jsonl"
    log = Log(path, steps_done=0)
    log.add(_row(0, 1.0))
    log.close()

    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", power_cut)
    monkeypatch.setattr(Path, "replace", power_cut)
    with pytest.raises(KeyboardInterrupt):
        Log(path, steps_done=1)
    assert read(path) == [_row(0, 1.0)]


def test_what_is_no_number_is_refused(tmp_path: Path) -> None:
    log = Log(tmp_path / "log.jsonl", steps_done=0)
    with pytest.raises(ValueError, match="JSON compliant"):
        log.add(_row(0, float("nan")))
    log.close()


def test_tables_hold_every_figure_and_nothing_where_there_is_none(tmp_path: Path) -> None:
    write_csv(_rows(), tmp_path / "log.csv")
    with (tmp_path / "log.csv").open(newline="") as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == [
        "step",
        "tokens",
        "loss",
        "grad_norm",
        "tokens_per_second",
        "validation/a",
        "validation/b",
    ]
    assert (table[7]["loss"], table[8]["validation/a"], table[100]["validation/b"]) == ("", "", "2.0")
    write_router_csv(_rows(), tmp_path / "router.csv")
    lines = (tmp_path / "router.csv").read_text().splitlines()
    assert lines[0] == "step,layer,entropy,dropped,expert_0,expert_1,expert_2"
    assert lines[2] == "100,1,0.94,0.0,0.5,0.3,0.2"
    assert len(lines) == 5


def test_plots_are_small_and_only_of_what_was_measured(tmp_path: Path) -> None:
    draw(_rows(), tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"loss.png", "gradient.png", "validation.png", "routers.png"}
    for path in tmp_path.iterdir():
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) < 60_000
