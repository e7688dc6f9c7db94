"""Progress bars of a launch, drawn from the progress files its steps write; what steps print goes to a log."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from forge_dagster.cli.interrupts import second_signal_ends_at_once
from forge_dagster.provenance.run import Run

REFRESH = 0.5  # seconds


@contextmanager
def output_into(path: Path) -> Iterator[Console]:
    """Send standard output and error of this process, and of all it starts, to `path`; yield the real terminal."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    saved = [os.dup(stream) for stream in (1, 2)]
    with path.open("ab") as log, os.fdopen(os.dup(2), "w") as terminal:
        try:
            for stream in (1, 2):
                os.dup2(log.fileno(), stream)
            yield Console(file=terminal, highlight=False)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for stream, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, stream)
                os.close(copy)


@contextmanager
def watching(run: Run, *, quiet: bool) -> Iterator[None]:
    """Draw one bar per stage while the body runs; without a terminal, one line when a stage ends."""
    with (
        output_into(run.folder / "output.log") as terminal,
        second_signal_ends_at_once(lambda text: terminal.print(text, markup=False)),
    ):
        if quiet:
            yield
            return
        board = Board(run, terminal)
        stop = threading.Event()

        def follow() -> None:
            while not stop.wait(REFRESH):
                board.draw()

        follower = threading.Thread(target=follow, daemon=True)
        with board.bars:
            follower.start()
            try:
                yield
            finally:
                stop.set()
                follower.join()
                board.draw()


class Board:
    """One bar for each stage that has begun."""

    def __init__(self, run: Run, terminal: Console) -> None:
        self.run, self.terminal = run, terminal
        self.tasks: dict[str, TaskID] = {}
        self.ended: set[str] = set()
        self.bars = Progress(
            TextColumn("{task.description:<34}"),
            BarColumn(bar_width=24),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=terminal,
            disable=not terminal.is_terminal,
        )

    def draw(self) -> None:
        """Read every progress file and bring the bars up to date."""
        for key, entry in self.run.progress_of().items():
            if key not in self.tasks:
                self.tasks[key] = self.bars.add_task(key, total=entry["total"], text="")
            self.bars.update(self.tasks[key], completed=entry["done"], total=entry["total"], text=entry["text"])
            if entry["state"] in ("done", "failed") and key not in self.ended:
                self.ended.add(key)
                self.bars.stop_task(self.tasks[key])
                if not self.terminal.is_terminal:
                    self.terminal.print(f"{key}: {entry['text']}", markup=False)
