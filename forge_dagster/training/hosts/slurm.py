"""Hosts that Slurm gives: one batch job, whose only step runs torchrun on every node."""

import hashlib
import math
import os
import re
import shlex
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from forge_dagster.compute_profile import Pod, SlurmProfile, number
from forge_dagster.errors import BusyError, RecipeError, RemoteError
from forge_dagster.stage import StageContext
from forge_dagster.training import pulse
from forge_dagster.training.blame import first_failure, last_words
from forge_dagster.training.launch import STOP, Ended, State, asset_of, command, variables

if TYPE_CHECKING:
    from forge_dagster.training.work import Work

SCRIPT, PRINTED, JOB_PRINTED = "sbatch.sh", "torchrun-{host}.log", "slurm.log"
WAITING = ("PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT")
RUNNING = ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING")
NEVER = (
    "PartitionNodeLimit", "PartitionTimeLimit", "PartitionConfig", "BadConstraints", "InvalidAccount", "InvalidQOS",
)  # fmt: skip
"""Reasons for which a job would wait for ever."""
MARGIN = 60
"""Seconds by which Slurm may send a signal too early, so that many more are left for the step that is under way."""
FOREIGN = ("SLURM_", "SBATCH_", "SQUEUE_", "SCANCEL_")
SILENCE = 120.0
OUTAGE = 3600.0
"""Seconds that Slurm's controller may be away; the hosts train on meanwhile."""


def name_of(work: "Work") -> str:
    """Name of the job: two that would write into one folder have one name."""
    return f"forge-{hashlib.sha256(str(work.folder).encode()).hexdigest()[:16]}"


def script(work: "Work", profile: SlurmProfile, pod: Pod, environment: Mapping[str, str]) -> str:
    """The batch script. It tells the workers to stop before the time limit: then they save, and another job goes on.

    `environment`: what hosts are told of the stage's.
    """
    hosts, folder = work.execution.hosts, work.folder
    options = {
        "job-name": name_of(work),
        "comment": asset_of(work) or None,
        "partition": profile.partition,
        "account": profile.account,
        "nodes": hosts,
        "ntasks-per-node": 1,
        "cpus-per-task": math.ceil(number(pod.cpu)),
        "mem": f"{math.ceil(number(pod.memory) / 2**20)}M",
        "gres": f"gpu:{pod.gpu}" if pod.gpu else None,
        "time": profile.minutes,
        "signal": f"B:TERM@{profile.save_seconds + MARGIN}",
        "dependency": "singleton",
        "output": folder / JOB_PRINTED,
        "chdir": folder,
        "export": "NONE",
    }
    lines = [f"#SBATCH --{key}={shlex.quote(str(value))}" for key, value in options.items() if value is not None]
    exports = [f"export {key}={shlex.quote(value)}" for key, value in environment.items()]
    torchrun = _shell(command(work, host="$SLURM_PROCID", meeting=f"$FORGE_FIRST:{profile.training.port}"))
    step = ["srun", f"--nodes={hosts}", f"--ntasks={hosts}", "--ntasks-per-node=1", "--kill-on-bad-exit=1"]
    step += [f"--cpus-per-task={options['cpus-per-task']}"]
    step += [f"--output={folder / PRINTED.format(host='%t')}", "bash", "-c", f"exec {torchrun}"]
    return "\n".join(
        [
            "#!/bin/bash",
            *lines,
            "#SBATCH --no-requeue",
            "set -u",
            *exports,
            "export SLURM_EXPORT_ENV=ALL",
            'first=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
            # The address by which Slurm itself reaches the node: its name need not be one that nodes resolve.
            """address=$(scontrol show node "$first" --oneliner | sed -n 's/.* NodeAddr=\\([^ ]*\\).*/\\1/p')""",
            'export FORGE_FIRST="${address:-$first}"',
            f"stop() {{ touch {shlex.quote(str(folder / STOP))}; }}",
            "trap stop TERM",
            f"{shlex.join(step)} &",
            "step=$!",
            # A signal ends `wait`, not the step.
            'until wait "$step"; code=$?; ! kill -0 "$step" 2>/dev/null; do :; done',
            'exit "$code"',
            "",
        ]
    )


def _shell(arguments: Sequence[str]) -> str:
    """The arguments as bash reads them; what has a variable in it is filled in there."""
    return " ".join(f'"{each}"' if "$" in each else shlex.quote(each) for each in arguments)


class SlurmHosts:
    """One job; who runs it must see FORGE_HOME under the same path on every node."""

    every = 5.0

    def __init__(self, work: "Work", profile: SlurmProfile) -> None:
        self.work, self.profile, self.job = work, profile, ""
        self.answered = time.monotonic()

    def clear(self) -> None:
        jobs = self._named()
        if not jobs:
            return
        if pulse.lives(self.work.folder):
            raise BusyError(
                f"Slurm job {', '.join(jobs)} ({name_of(self.work)}) trains in {self.work.folder}",
                rule="one job writes the checkpoints of a training",
                mend=f"wait for it, or stop the run that started it; scancel {' '.join(jobs)} if there is none",
            )
        self._cancel(jobs)

    def start(self, context: StageContext, token: str) -> None:
        pod = self.profile.pod(asset_of(self.work))
        environment = {**variables(self.work, os.environ), pulse.TOKEN: token}
        path = self.work.folder / SCRIPT
        path.write_text(script(self.work, self.profile, pod, environment), encoding="utf-8")
        for host in range(self.work.execution.hosts):
            self._output(host).unlink(missing_ok=True)
        submitted = _call("sbatch", "--parsable", str(path))
        if submitted.returncode:
            self._cancel(self._named())  # an answer that was lost may have submitted it
            raise RecipeError(
                f"sbatch refused {path}: {submitted.stderr.strip()}",
                rule="the compute profile asks for what the partition has",
                mend="correct partition, account, minutes or what the step takes in the compute profile",
            )
        self.job = submitted.stdout.strip().partition(";")[0]
        context.progress(0, 0, f"submitted as job {self.job} of Slurm, {self.work.execution.hosts} hosts")

    def look(self) -> State:
        told = self._state()
        if told is not None and any(f"reason {each}," in told for each in NEVER):
            raise RecipeError(
                f"job {self.job} of Slurm is {told}",
                rule="the compute profile asks for what the partition has and the account may use",
                mend="correct partition, account, minutes or what the step takes in the compute profile",
            )
        if told is None or told.startswith(WAITING):
            return "waiting"
        if told.startswith(RUNNING):
            return "running"
        outputs = [(str(self._output(host)), self._printed(host)) for host in range(self.work.execution.hosts)]
        who = first_failure(printed for _, printed in outputs) or f"job {self.job} of Slurm ended as {told}"
        batch = self.work.folder / JOB_PRINTED
        outputs.append((str(batch), batch.read_text(errors="replace") if batch.is_file() else ""))
        called_back = told.startswith("PREEMPTED")
        return Ended(told.startswith("COMPLETED"), who, last_words(outputs), called_back=called_back)

    def seen(self) -> str:
        outputs = [(str(self._output(host)), self._printed(host)) for host in range(self.work.execution.hosts)]
        return f"job {self.job} of Slurm is {self._state()}\n{last_words(outputs)}"

    def end(self) -> None:
        if self.job:
            self._cancel([self.job])

    def _state(self) -> str | None:
        """State and exit code by the controller, by accounting once that forgot it; None while neither answers."""
        shown = _call("scontrol", "show", "job", self.job, "--oneliner")
        if not shown.returncode:
            self.answered = time.monotonic()
            state = re.search(r"\bJobState=(\S+) Reason=(\S+)", shown.stdout)
            code = re.search(r"\bExitCode=(\S+)", shown.stdout)
            assert state, shown.stdout
            assert code, shown.stdout
            return f"{state[1]} (reason {state[2]}, exit code {code[1]})"
        if "Invalid job id" in shown.stderr:
            kept = _call("sacct", "--jobs", self.job, "-X", "--noheader", "--parsable2", "--format=State,ExitCode")
            found = kept.stdout.strip().splitlines()
            return found[0] if found else "a job that Slurm no longer knows"
        if time.monotonic() - self.answered > OUTAGE:
            raise RemoteError(
                f"scontrol: {shown.stderr.strip()}",
                rule=f"Slurm's controller answers within {OUTAGE:.0f} s",
                mend="run again once it does; the hosts save and end by themselves",
            )
        return None

    def _named(self) -> list[str]:
        """Jobs of this name that are not over."""
        asked = _call("squeue", "--noheader", "--me", "--format=%A", f"--name={name_of(self.work)}")
        if asked.returncode:
            raise RemoteError(
                f"squeue: {asked.stderr.strip()}",
                rule="the compute profile is of kind slurm, so Slurm's commands reach its controller from here",
                mend="run where they do, or unset FORGE_COMPUTE",
            )
        return asked.stdout.split()

    def _cancel(self, jobs: Sequence[str]) -> None:
        """End jobs and return when no process of theirs is left."""
        until = time.monotonic() + self.profile.save_seconds
        while jobs:
            _call("scancel", *jobs)
            try:
                jobs = sorted(set(jobs) & set(self._named()))
            except RemoteError:
                if time.monotonic() > until:
                    raise
            if jobs and time.monotonic() > until:
                raise RemoteError(
                    f"job {', '.join(jobs)} of Slurm goes on after scancel",
                    rule="nothing is left of a training when its step ends",
                    mend=f"look at squeue --jobs={','.join(jobs)}",
                )
            time.sleep(1 if jobs else 0)

    def _output(self, host: int) -> Path:
        return self.work.folder / PRINTED.format(host=host)

    def _printed(self, host: int) -> str:
        path = self._output(host)
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def _call(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command of Slurm, without variables of a job that this may be part of: they outdo what a script says."""
    own = {name: value for name, value in os.environ.items() if name == "SLURM_CONF" or not name.startswith(FOREIGN)}
    try:
        return subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=SILENCE, env=own)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 1, "", f"no answer within {SILENCE:.0f} s")
    except FileNotFoundError as error:
        raise RecipeError(
            f"{arguments[0]} is not installed",
            rule="a compute profile of kind slurm is for machines with Slurm's commands",
            mend="install them (Debian: slurm-client), or unset FORGE_COMPUTE",
        ) from error
