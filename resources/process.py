"""Processes of a run: the mark by which the one that executes it is known, and steps that never outlive it."""

import ctypes
import multiprocessing
import os
import platform
import select
import signal
import threading
from pathlib import Path

import psutil

from forge_dagster.stage import FrozenModel

PR_SET_PDEATHSIG = 1  # prctl(2)
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Mark(FrozenModel):
    """The process that executes a run; process ids come again, so its start tells it from a later one."""

    run: str
    """The tags of a run are copied to its retries: a mark of another run says nothing."""
    host: str
    boot: str
    pid: int
    started: int
    """Clock ticks since boot: a wall clock that is set back does not move it."""


def mark_of_this_process(run_id: str) -> Mark:
    """The mark of the process that executes `run_id`."""
    state = _state(os.getpid())
    assert state is not None, "this process lives"
    return Mark(run=run_id, host=platform.node(), boot=_boot(), pid=os.getpid(), started=state[1])


def is_gone(mark: Mark) -> bool:
    """Whether the marked process has ended; of another host's process nothing is known, so it has not."""
    if mark.host != platform.node():
        return False
    if mark.boot != _boot():
        return True
    state = _state(mark.pid)
    return state is None or state[0] in "ZX" or state[1] != mark.started


def _boot() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip()


def _state(pid: int) -> tuple[str, int] | None:
    """State letter and start of a process, by proc(5); None if there is none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])


def die_with_run() -> None:
    """End this step with SIGKILL as soon as the fork server, or the run that started it, is gone.

    The fork server outlives a killed run as long as one of its steps lives, so its death says too little.
    """
    if multiprocessing.parent_process() is None:
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    server = psutil.Process(os.getppid())
    try:
        handle = os.pidfd_open(server.ppid())
    except ProcessLookupError:
        os.kill(os.getpid(), signal.SIGKILL)
        return
    threading.Thread(target=_follow, args=(handle,), name="die-with-run", daemon=True).start()


def _follow(handle: int) -> None:
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.poll()
    os.kill(os.getpid(), signal.SIGKILL)
