"""A training of several processes: all of its hosts started, followed to their end, and their work taken up."""

import json
import shutil
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from forge_dagster import errors
from forge_dagster.compute_profile import Gang, KubernetesProfile, Profile, profile
from forge_dagster.errors import InterruptedRun, WorkerDied
from forge_dagster.stage import StageContext
from forge_dagster.training import pulse
from forge_dagster.training.execution import Execution
from forge_dagster.training.launch import (
    ERRORS,
    MET,
    PROGRESS,
    STOP,
    TIME_TO_SAVE,
    TRAINED,
    WORK,
    Ended,
    Hosts,
)

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from forge_dagster.training.loop import Outcome
    from forge_dagster.training.work import Work

TICK = 0.2
"""Seconds between two looks into the work folder."""


def elsewhere(how: Execution) -> Profile | None:
    """The profile whose machines train, if they are others than this one."""
    return profile() if how.hosts > 1 else None


def hosts_of(work: "Work") -> Hosts:
    """What starts the hosts of a training."""
    where = elsewhere(work.execution)
    if where is None:
        from forge_dagster.training.hosts.here import Here

        return Here(work)
    if isinstance(where, KubernetesProfile):
        from forge_dagster.training.hosts.kubernetes import KubernetesHosts

        return KubernetesHosts(work, where)
    from forge_dagster.training.hosts.slurm import SlurmHosts

    return SlurmHosts(work, where)


def launch(model: "PreTrainedModel", work: "Work", context: StageContext) -> "Outcome":
    """Train in processes of their own and put the weights into `model`.

    Raises what a worker raised; WorkerDied if one ended without a word, with its rank and exit code where they are
    known, or if the hosts do not meet in time; InterruptedRun if it was stopped before they ran; BusyError if another
    stage trains in the same folder. Whatever happens, nothing runs on when it returns.
    """
    where = elsewhere(work.execution)
    told = where.training if where else Gang()
    saving = where.save_seconds if where else TIME_TO_SAVE
    folder, hosts, token = work.folder, hosts_of(work), uuid.uuid4().hex
    hosts.clear()
    for left in (folder / ERRORS, folder / TRAINED):
        shutil.rmtree(left, ignore_errors=True)
    for name in (STOP, MET, PROGRESS):
        (folder / name).unlink(missing_ok=True)
    (folder / WORK).write_text(work.model_dump_json(), encoding="utf-8")
    with pulse.beating(folder, token):
        try:
            hosts.start(context, token)
            ended = follow(
                hosts, folder, context,
                start_seconds=told.start_seconds, save_seconds=saving, silence_seconds=told.silence_seconds,
            )  # fmt: skip
        finally:
            hosts.end()
    if not ended.succeeded:
        _raise(folder, ended)
    return _take_up(model, work)


def follow(
    hosts: Hosts,
    folder: Path,
    context: StageContext,
    *,
    start_seconds: float,
    save_seconds: float,
    silence_seconds: float = Gang().silence_seconds,
) -> Ended:
    """Tell the progress of the hosts until they end, and tell them to stop once this stage is told to.

    Raises WorkerDied if they do not meet in time, or met and tell of no step for too long: processes that lost each
    other wait, each by the timeout of whatever library it is in.
    """
    told, running, stopped, due, heard = "", 0.0, 0.0, 0.0, 0.0
    while True:
        now = time.monotonic()
        if now >= due:
            state, due = hosts.look(), now + hosts.every
        if isinstance(state, Ended):
            return state
        if state == "running":
            running = running or now
        if context.cancelled():
            (folder / STOP).touch()
            stopped = stopped or now
            if not running or now > stopped + save_seconds:
                how = f"and not saved within {save_seconds} s" if running else "before it began"
                raise InterruptedRun(
                    f"training was stopped {how}",
                    mend="run the same command to go on from the last checkpoint",
                )
        if running and now > running + start_seconds and not (folder / MET).exists():
            raise WorkerDied(
                f"not all hosts met within {start_seconds} s; {hosts.seen()}",
                rule="processes that train together begin together: training.start_seconds of the compute profile",
                mend="look why a host did not start, and whether it reaches the first one by name and port",
            )
        heard = heard or (now if (folder / MET).exists() else 0.0)
        silence = silence_seconds if told else max(silence_seconds, start_seconds)  # before the first step all is made
        if heard and now > heard + silence:
            raise WorkerDied(
                f"no step was done within {silence} s; {hosts.seen()}",
                rule="hosts that train tell of each step: training.silence_seconds of the compute profile",
                mend="look at the network between the hosts; run again to go on from the last checkpoint",
            )
        said = (folder / PROGRESS).read_text(encoding="utf-8") if (folder / PROGRESS).is_file() else ""
        if said != told:
            told, heard = said, now
            context.progress(*json.loads(said))
        time.sleep(TICK)


def _raise(folder: Path, ended: Ended) -> None:
    """Raise what the first worker said, else what is known of the one that died."""
    for path in sorted((folder / ERRORS).glob("*.json"), key=lambda path: int(path.stem)):
        said = json.loads(path.read_text(encoding="utf-8"))
        if "errno" in said:
            raise OSError(said["errno"], said["strerror"], said["filename"])
        raise getattr(errors, said.pop("kind"))(said.pop("problem"), **said)
    if ended.called_back:
        raise InterruptedRun(
            f"{ended.who}: the machines were wanted elsewhere before all was saved",
            mend="run the same command to go on from the last checkpoint",
        )
    raise WorkerDied(
        f"{ended.who}; the other processes were stopped",
        rule="processes that train together end together",
        mend=f"run again to go on from the last checkpoint; what they printed: {ended.said}",
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
