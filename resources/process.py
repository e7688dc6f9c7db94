"""A step's process must not outlive its run: two trainers would write one work folder."""

import ctypes
import multiprocessing
import os
import select
import signal
import threading

import psutil

PR_SET_PDEATHSIG = 1  # prctl(2)


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
