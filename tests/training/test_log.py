"""The log goes on after an interruption as if there had been none."""

import math
from pathlib import Path

from forge_dagster.training.log import Log, Row, plot, read


def _row(step: int, loss: float) -> Row:
    return Row(step, (step + 1) * 10, loss, 0.5, 1.25, 1000.0)


def test_rows_after_the_checkpoint_are_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    log = Log(path, steps_done=0)
    for step in range(5):
        log.add(_row(step, 0.1 + step))
    log.sync()
    log.close()
    with path.open("a") as file:
        file.write("5,60,1.")  # torn by a crash

    log = Log(path, steps_done=3)
    log.add(_row(3, 9.0))
    log.close()
    assert list(read(path)) == [_row(0, 0.1), _row(1, 1.1), _row(2, 2.1), _row(3, 9.0)]


def test_the_plot_is_a_small_png(tmp_path: Path) -> None:
    rows = [_row(step, 8 / (step + 1)) for step in range(300)]
    rows[7] = _row(7, math.nan)
    plot(rows, tmp_path / "loss.png")
    data = (tmp_path / "loss.png").read_bytes()
    assert data.startswith(b"\x89PNG")
    assert len(data) < 60_000
