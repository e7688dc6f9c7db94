"""The loss log of a training: one CSV row a step, continued after an interruption, and its plot."""

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple


class Row(NamedTuple):
    """One step. `loss` in nats per token; `lr` the share of the peak learning rates; a skipped step has no loss."""

    step: int
    tokens: int
    loss: float
    lr: float
    grad_norm: float
    tokens_per_second: float


class Log:
    """Rows in a CSV file, each flushed as it comes."""

    def __init__(self, path: Path, *, steps_done: int) -> None:
        """Open `path` and keep the rows of its first `steps_done` steps; those after them are taken again."""
        kept = [row for row in read(path) if row.step < steps_done] if path.is_file() else []
        self.path = path
        self._file = path.open("w", newline="", encoding="utf-8")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._writer.writerow(Row._fields)
        self._writer.writerows(kept)

    def add(self, row: Row) -> None:
        self._writer.writerow(row)

    def sync(self) -> None:
        """Bring all rows to the disk; a checkpoint never outlives the log of its steps."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        self._file.close()


def read(path: Path) -> Iterator[Row]:
    """Read the whole rows of a log; a row torn by a crash ends it."""
    with path.open(newline="", encoding="utf-8") as file:
        for cells in list(csv.reader(file))[1:]:
            if len(cells) != len(Row._fields):
                return
            yield Row(int(cells[0]), int(cells[1]), *map(float, cells[2:]))


def plot(rows: list[Row], path: Path) -> None:
    """Draw loss over tokens, with its running mean, as a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 3.6), dpi=80, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    tokens = [row.tokens for row in rows]
    mean, means = rows[0].loss, []
    for row in rows:
        mean = 0.95 * mean + 0.05 * row.loss if row.loss == row.loss else mean
        means.append(mean)
    axes.plot(tokens, [row.loss for row in rows], linewidth=0.6, alpha=0.5, label="loss of the step")
    axes.plot(tokens, means, linewidth=1.6, label="running mean")
    axes.set_xlabel("tokens")
    axes.set_ylabel("nats per token")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
