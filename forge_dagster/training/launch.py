"""Starts the processes of a training by torchrun, as a cluster does, follows them, and takes up what they made."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from forge_dagster import errors
from forge_dagster.errors import RecipeError, WorkerDied
from forge_dagster.stage import StageContext

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from forge_dagster.training.loop import Outcome
    from forge_dagster.training.work import Work

WORK, PROGRESS, STOP, ERRORS, TRAINED, OUTPUT = (
    "work.json",
    "progress.json",
    "stop",
    "errors",
    "trained",
    "torchrun.log",
)
"""Files and folders by which the stage and its workers speak, in the work folder."""
LAUNCHER = "FORGE_LAUNCHER"
"""Variable that names the process of the stage to its workers."""
TIME_TO_SAVE = 600
"""Seconds that torchrun lets its workers finish a step and save in, once it is told to stop."""
LOOK_EVERY = 0.2


def command(work: "Work", *, host: int, meeting: str) -> list[str]:
    """Return the command of one host; `meeting`: a file on one host, host:port of host 0 on several."""
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


def launch(model: "PreTrainedModel", work: "Work", context: StageContext) -> "Outcome":
    """Train in processes of their own and put the weights into `model`.

    Raises what a worker raised; WorkerDied, with rank and exit code, if one ended without a word. The others are
    stopped by torchrun.
    """
    folder, meeting = work.folder, work.folder / f"meeting-{uuid.uuid4().hex}"
    for left in (folder / ERRORS, folder / TRAINED):
        shutil.rmtree(left, ignore_errors=True)
    for file in (folder / STOP, *folder.glob("meeting-*")):
        file.unlink(missing_ok=True)
    (folder / WORK).write_text(work.model_dump_json(), encoding="utf-8")
    place = str(meeting) if work.execution.hosts == 1 else rendezvous()
    for host in range(1, work.execution.hosts):
        context.progress(0, 0, "on host " + " ".join([str(host), *command(work, host=host, meeting=place)]))
    with (folder / OUTPUT).open("wb") as output:
        process = subprocess.Popen(
            command(work, host=0, meeting=place),
            env=os.environ | {LAUNCHER: str(os.getpid()), "OMP_NUM_THREADS": str(work.execution.threads)},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _follow(process, folder, context)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait()
    if process.returncode:
        _raise(folder, process.returncode)
    return _take_up(model, work)


def rendezvous(environment: Mapping[str, str] = os.environ) -> str:
    """Return where hosts meet, from FORGE_RENDEZVOUS. Raises RecipeError if it is no host:port."""
    place = environment.get("FORGE_RENDEZVOUS", "")
    if not re.fullmatch(r"[^\s:]+:\d+", place):
        raise RecipeError(
            f"FORGE_RENDEZVOUS = {place!r}",
            rule="with FORGE_HOSTS above 1 it is the address of the first host and a free port of it, host:port",
            mend="set the variable",
        )
    return place


def _follow(process: "subprocess.Popen[bytes]", folder: Path, context: StageContext) -> None:
    told = ""
    while process.poll() is None:
        time.sleep(LOOK_EVERY)
        if context.cancelled():
            (folder / STOP).touch()
        now = (folder / PROGRESS).read_text(encoding="utf-8") if (folder / PROGRESS).is_file() else ""
        if now != told:
            told = now
            context.progress(*json.loads(now))


def _raise(folder: Path, returncode: int) -> None:
    """Raise what the first worker said, else what torchrun says of the one that died."""
    for path in sorted((folder / ERRORS).glob("*.json"), key=lambda path: int(path.stem)):
        said = json.loads(path.read_text(encoding="utf-8"))
        if "errno" in said:
            raise OSError(said["errno"], said["strerror"], said["filename"])
        raise getattr(errors, said.pop("kind"))(said.pop("problem"), **said)
    output = (folder / OUTPUT).read_text(encoding="utf-8", errors="replace")
    cause = re.search(r"Root Cause.*?rank +: (\d+).*?exitcode +: (-?\d+)", output, re.DOTALL)
    who = f"rank {cause[1]} ended with exit code {cause[2]}" if cause else f"torchrun ended with {returncode}"
    raise WorkerDied(
        f"{who}; the other processes were stopped",
        rule="processes that train together end together",
        mend=f"run again to go on from the last checkpoint; what they printed: {folder / OUTPUT}\n{output[-1500:]}",
    )


def _take_up(model: "PreTrainedModel", work: "Work") -> "Outcome":
    import torch

    from forge_dagster.training import checkpoint
    from forge_dagster.training.guard import Guard
    from forge_dagster.training.loop import Outcome

    settings = work.settings
    trained = checkpoint.load(work.folder / TRAINED, settings.steps)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(trained.tensors["model"][name])
    guard = Guard(settings.spike_sigmas, **trained.state["guard"])
    return Outcome(
        steps=settings.steps, guard=guard, operations=trained.state["operations"], log=work.folder / "log.jsonl"
    )
