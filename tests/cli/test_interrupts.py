"""Ctrl-C twice ends a run whose main thread hangs in C."""

import os
import signal
import subprocess
import sys
import time

BODY = """
import signal, threading
from forge_dagster.cli.interrupts import second_signal_ends_at_once
signal.signal(signal.SIGINT, lambda *_: None)
with second_signal_ends_at_once(lambda text: print(text, flush=True)):
    print("ready", flush=True)
    held = threading.Lock()
    held.acquire()
    {wait}
print("left", flush=True)
"""


def _run(wait: str) -> "subprocess.Popen[str]":
    process = subprocess.Popen([sys.executable, "-c", BODY.format(wait=wait)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_the_first_is_told_and_the_second_ends_even_a_hanging_process():
    process = _run("held.acquire()")
    os.kill(process.pid, signal.SIGINT)
    assert process.stdout.readline().startswith("stopping: ")
    time.sleep(0.2)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGINT)
    out = process.stdout.read()
    assert "run the same command again" in out
    assert process.wait(30) == 75


def test_a_body_that_ends_leaves_signals_as_they_were():
    process = _run("assert signal.set_wakeup_fd(-1) > 0")
    assert process.stdout.read() == "left\n"
    assert process.wait(30) == 0
