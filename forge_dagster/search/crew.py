"""Processes that train trials side by side, one thread each; they end with the process that started them."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from types import TracebackType

from forge_dagster.errors import InterruptedRun, WorkerDied
from forge_dagster.search.trial import STOP, Measured, Piece, told

TICK = 0.2  # seconds between two looks whether the study is to stop
MOST_DEATHS = 3
"""Deaths of processes in a row, without a piece between them, after which the study is given up."""
ALONE = {"FORGE_THREADS": "1", "OMP_NUM_THREADS": "1"}
SPREAD = ("FORGE_PROCESSES", "FORGE_HOSTS", "FORGE_ZERO", "FORGE_COMPUTE")
"""How a training is spread; a proxy is trained by one process here."""


class Crew:
    """A context: so many processes, each of which loads its libraries once."""

    def __init__(self, processes: int, folder: Path, cancelled: Callable[[], bool]) -> None:
        self._processes, self._folder, self._cancelled = processes, folder, cancelled

    def __enter__(self) -> "Crew":
        (self._folder / STOP).unlink(missing_ok=True)
        self._pool = self._new_pool()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is not None:
            (self._folder / STOP).touch()
        self._pool.shutdown(cancel_futures=True)

    def train(self, pieces: Sequence[Piece], tell: Callable[[int, Measured], None]) -> None:
        """Train pieces of different trials; `tell` is given the place of each and what came of it, as they end.

        A piece whose process was killed is taken up again where its last checkpoint was made. Raises what a piece
        raises, WorkerDied if processes die again and again, InterruptedRun once all have saved after a signal.
        """
        left, deaths = dict(enumerate(pieces)), 0
        while left:
            try:
                futures = {self._pool.submit(told, piece.model_dump_json()): at for at, piece in left.items()}
                for place, measured in self._ended(futures):
                    del left[place]
                    deaths = 0
                    tell(place, measured)
            except BrokenProcessPool as error:
                deaths += 1
                if deaths == MOST_DEATHS:
                    raise WorkerDied(
                        f"processes that train trials died {deaths} times, and nothing was trained in between",
                        rule="a trial whose process is killed goes on from its checkpoint, but not for ever",
                        mend="look whether the machine has the memory; the same command goes on from there",
                    ) from error
                self._pool.shutdown()
                self._pool = self._new_pool()

    def _ended(self, futures: "dict[Future[str | None], int]") -> Iterator[tuple[int, Measured]]:
        waiting, stopped = set(futures), False
        while waiting:
            done, waiting = wait(waiting, timeout=TICK, return_when=FIRST_COMPLETED)
            for future in done:
                said = future.result()
                if said is not None:
                    yield futures[future], Measured.model_validate_json(said)
            if not stopped and self._cancelled():
                stopped = True
                (self._folder / STOP).touch()
        if stopped:
            raise InterruptedRun("the study stopped, and every trial is saved", mend="run the same command again")

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(self._processes, mp_context=multiprocessing.get_context("spawn"), initializer=_begin)


def alone(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment of one of the crew."""
    return {name: value for name, value in environment.items() if name not in SPREAD} | ALONE


def _begin() -> None:
    """Make a process one of the crew: alone, on one thread, deaf to Ctrl-C, and gone when the study is."""
    for name in SPREAD:
        os.environ.pop(name, None)
    os.environ.update(ALONE)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A pool that lost a process ends the others by SIGTERM and waits for them; who started this one may ignore it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    parent = multiprocessing.parent_process()
    assert parent is not None, "somebody started this process"

    def follow() -> None:
        parent.join()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=follow, name="die-with-the-study", daemon=True).start()
