"""Ctrl-C: the first lets steps end as they should, the second ends the run at once."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from forge_dagster.errors import InterruptedRun

STOPS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def second_signal_ends_at_once(say: Callable[[str], None]) -> Iterator[None]:
    """Tell the user of the first SIGINT or SIGTERM that came while the body runs; leave the process at the second.

    Steps die with the process that started them, and the store holds nothing half-made, so this is always safe.
    It works while the main thread waits in C, where no handler of Python's runs. Only the main thread can enter.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    former = signal.set_wakeup_fd(writing)

    def follow() -> None:
        told = False
        while numbers := os.read(reading, 1):
            if numbers[0] not in STOPS:
                continue
            if told:
                say("stopped at once; what was made stands; run the same command again")
                os._exit(InterruptedRun.exit_code)
            say("stopping: steps save what they have; once more stops at once")
            told = True
        os.close(reading)

    threading.Thread(target=follow, name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(former)
        os.close(writing)
