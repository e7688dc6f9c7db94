"""This machine as host 0, by torchrun; of further hosts a person starts the commands that it tells."""

import os
import re
import signal
import subprocess
import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING

from forge_dagster.errors import RecipeError
from forge_dagster.stage import StageContext
from forge_dagster.training.blame import first_failure, last_words
from forge_dagster.training.launch import LAUNCHER, OUTPUT, Ended, State, command

if TYPE_CHECKING:
    from forge_dagster.training.work import Work


class Here:
    """Processes of this machine, which end with the stage."""

    every = 0.2

    def __init__(self, work: "Work") -> None:
        self.work = work
        self.process: subprocess.Popen[bytes] | None = None
        self.place = "" if work.execution.hosts == 1 else rendezvous()

    def clear(self) -> None:
        for file in self.work.folder.glob("meeting-*"):
            file.unlink()

    def start(self, context: StageContext, token: str) -> None:
        work = self.work
        meeting = self.place or str(work.folder / f"meeting-{uuid.uuid4().hex}")
        for host in range(1, work.execution.hosts):
            context.progress(0, 0, "on host " + " ".join([str(host), *command(work, host=host, meeting=meeting)]))
        with (work.folder / OUTPUT).open("wb") as output:
            self.process = subprocess.Popen(
                command(work, host=0, meeting=meeting),
                env=os.environ | {LAUNCHER: str(os.getpid()), "OMP_NUM_THREADS": str(work.execution.threads)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def look(self) -> State:
        assert self.process is not None
        code = self.process.poll()
        if code is None:
            return "running"
        who = first_failure([self._printed]) or f"torchrun ended with {code}"
        return Ended(code == 0, who, last_words([(str(self.work.folder / OUTPUT), self._printed)]))

    def seen(self) -> str:
        return last_words([(str(self.work.folder / OUTPUT), self._printed)])

    def end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()

    @property
    def _printed(self) -> str:
        return (self.work.folder / OUTPUT).read_text(encoding="utf-8", errors="replace")


def rendezvous(environment: Mapping[str, str] = os.environ) -> str:
    """Return where hosts meet, from FORGE_RENDEZVOUS. Raises RecipeError if it is no host:port."""
    place = environment.get("FORGE_RENDEZVOUS", "")
    if not re.fullmatch(r"[^\s:]+:\d+", place):
        raise RecipeError(
            f"FORGE_RENDEZVOUS = {place!r}",
            rule="with FORGE_HOSTS above 1 it is the address of the first host and a free port of it, host:port",
            mend="set the variable, or let a compute profile start the hosts",
        )
    return place
