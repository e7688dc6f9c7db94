"""Progress bars of a launch, drawn from the progress files its steps write."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from forge_dagster.cli.console import err
from forge_dagster.provenance.run import Run

REFRESH = 0.5  # seconds


@contextmanager
def watching(run: Run, *, quiet: bool) -> Iterator[None]:
    """Draw one bar per stage while the body runs; without a terminal, one line when a stage ends."""
    if quiet:
        yield
        return
    bars = Progress(
        TextColumn("{task.description:<38}"),
        BarColumn(bar_width=30),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[text]}"),
        console=err,
        disable=not err.is_terminal,
    )
    stop = threading.Event()
    tasks: dict[str, TaskID] = {}
    ended: set[str] = set()

    def draw() -> None:
        for key, entry in run.progress_of().items():
            if key not in tasks:
                tasks[key] = bars.add_task(key, total=entry["total"], text="")
            bars.update(tasks[key], completed=entry["done"], total=entry["total"], text=entry["text"])
            if entry["state"] in ("done", "failed") and key not in ended:
                ended.add(key)
                bars.stop_task(tasks[key])
                if not err.is_terminal:
                    err.print(f"{key}: {entry['text']}")

    def follow() -> None:
        while not stop.wait(REFRESH):
            draw()

    follower = threading.Thread(target=follow, daemon=True)
    with bars:
        follower.start()
        try:
            yield
        finally:
            stop.set()
            follower.join()
            draw()
