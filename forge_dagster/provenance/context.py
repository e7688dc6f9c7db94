"""The StageContext of a recorded build."""

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from forge_dagster.provenance.run import ProgressFile

SECONDS_BETWEEN_MESSAGES = 30.0


class RecordedContext:
    """Progress into the run's folder and, now and then, its events; a work folder by fingerprint; SIGTERM as a flag."""

    def __init__(
        self, *, work: Path, beside: Path, cache: Path, progress: ProgressFile, say: Callable[[str], None]
    ) -> None:
        self._work, self._beside, self._cache, self._progress, self._say = work, beside, cache, progress, say
        self._cancelled = threading.Event()
        self._said = time.monotonic()

    @property
    def work(self) -> Path:
        return self._work

    @property
    def cache(self) -> Path:
        return self._cache

    @property
    def beside(self) -> Path:
        return self._beside

    def progress(self, done: int, total: int, text: str = "") -> None:
        self._progress.write(done, total, text)
        if time.monotonic() - self._said >= SECONDS_BETWEEN_MESSAGES:
            self._said = time.monotonic()
            self._say(f"{done} of {total}: {text}" if text else f"{done} of {total}")

    def cancelled(self) -> bool:
        return self._cancelled.is_set()

    @contextmanager
    def watching_signals(self) -> Iterator[None]:
        """Turn SIGTERM into `cancelled()`; only the main thread can."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def cancel(signum: int, frame: FrameType | None) -> None:
            self._cancelled.set()

        previous = signal.signal(signal.SIGTERM, cancel)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, previous)
