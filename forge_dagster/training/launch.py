"""How a training of several processes is started: the one command of every host, and what starts hosts must do."""

import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

from forge_dagster.home import home
from forge_dagster.stage import StageContext

if TYPE_CHECKING:
    from forge_dagster.training.work import Work

WORK, PROGRESS, STOP, ERRORS, TRAINED, OUTPUT, MET = (
    "work.json",
    "progress.json",
    "stop",
    "errors",
    "trained",
    "torchrun.log",
    "met",
)
"""Files and folders by which the stage and its workers speak, in the work folder."""
LAUNCHER = "FORGE_LAUNCHER"
"""Variable that names the process of the stage to the workers of its own host."""
TIME_TO_SAVE = 600
"""Seconds that torchrun lets its workers finish a step and save in, once it is told to stop."""
CARRIED = ("NCCL_", "GLOO_", "TORCH_", "UCX_", "FI_")
"""Beginnings of the variables that a host elsewhere takes over: they tell libraries about the network."""
CARRIED_WHOLE = ("FORGE_HOME", "LD_LIBRARY_PATH", "PATH", "PYTHONPATH", "PYTHONNOUSERSITE")


def command(work: "Work", *, host: int | str, meeting: str) -> list[str]:
    """Return the command of one host; `meeting`: a file on one host, host:port of host 0 on several.

    `host`: its number, or the variable that tells it there.
    """
    how = work.execution
    if how.hosts == 1:
        place = ["--rdzv-backend", "c10d", "--rdzv-endpoint", meeting, "--rdzv-conf", "store_type=file"]
        place += ["--rdzv-id", uuid.uuid4().hex]
    else:
        address, _, port = meeting.rpartition(":")
        place = ["--node-rank", str(host), "--master-addr", address, "--master-port", port]
    return [
        sys.executable, "-m", "torch.distributed.run", "--nnodes", str(how.hosts), "--nproc-per-node",
        str(how.processes), *place, "--shutdown-timeout", str(TIME_TO_SAVE),
        "-m", "forge_dagster.training.worker", str(work.folder / WORK),
    ]  # fmt: skip


def asset_of(work: "Work") -> str:
    """The asset that is trained, by its work folder, which is ASSET/FINGERPRINT; empty outside a home."""
    folder, above = work.folder.resolve(), home().work.resolve()
    return folder.parent.relative_to(above).as_posix() if folder.is_relative_to(above) else ""


def variables(work: "Work", environment: Mapping[str, str]) -> dict[str, str]:
    """What of an environment a host elsewhere needs; nothing else goes there, for it may hold passwords."""
    found = {name: value for name, value in environment.items() if name in CARRIED_WHOLE or name.startswith(CARRIED)}
    return dict(sorted((found | {"OMP_NUM_THREADS": str(work.execution.threads)}).items()))


@dataclass(frozen=True)
class Ended:
    """How the hosts ended, all of them."""

    succeeded: bool
    who: str = ""
    """Who failed first and how, as far as it is known."""
    said: str = ""
    """Where they printed, and the last of it."""
    called_back: bool = False
    """Whether their machines were wanted elsewhere: no fault of theirs, however often it happens."""


State = Literal["waiting", "running"] | Ended


class Hosts(Protocol):
    """The hosts of one training: all run or none, and all end when one does."""

    every: float
    """Seconds between two looks."""

    def clear(self) -> None:
        """End what a stage that died left in this folder. Raises BusyError if another stage lives there."""

    def start(self, context: StageContext, token: str) -> None:
        """Start all hosts; `token` is what the pulse of this stage bears."""

    def look(self) -> State:
        """How they are; they wait until the first one is given a machine."""

    def seen(self) -> str:
        """Return what is to be told of hosts that do not meet."""

    def end(self) -> None:
        """End what still runs, and return when nothing of it is left."""
