"""One of the processes that train a model together: `torchrun ... -m forge_dagster.training.worker FOLDER/work.json`.

The stage, or what its compute profile names, starts torchrun on every host with rendezvous arguments of its own;
FOLDER is one that all hosts see. Ends with the exit code of the error, 75 if a signal stopped it.
"""

import json
import os
import select
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
import torch.distributed as dist
from transformers import PreTrainedModel

from forge_dagster.environment import close
from forge_dagster.errors import ForgeError, RecipeError
from forge_dagster.model.build import build_model
from forge_dagster.model.start import going_on_model, starting_model
from forge_dagster.stage import START, START_SHARDS, LocalContext
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training import checkpoint, pulse
from forge_dagster.training.cost import matmul_peak
from forge_dagster.training.launch import ERRORS, LAUNCHER, MET, PROGRESS, STOP, TRAINED
from forge_dagster.training.precision import thread_limit
from forge_dagster.training.work import Work, work_out
from forge_dagster.training.zero import ZeroLearner


@dataclass
class WorkerContext(LocalContext):
    """Progress into a file that the stage reads; told to stop by SIGTERM or by the stage."""

    shared: Path = field(kw_only=True)
    signalled: bool = False

    def progress(self, done: int, total: int, text: str = "") -> None:
        if dist.get_rank() == 0:
            new = self.shared / f".{PROGRESS}"
            new.write_text(json.dumps([done, total, text]), encoding="utf-8")
            new.rename(self.shared / PROGRESS)

    def cancelled(self) -> bool:
        return self.signalled or (self.shared / STOP).exists()

    def cancel(self, *_: object) -> None:
        self.signalled = True


def run(work: Work) -> None:
    """Take part in a training to its end; the first process leaves the trained weights in the folder."""
    rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    if world != work.execution.world_size:
        raise RecipeError(
            f"torchrun started {world} processes",
            rule=f"this training was planned for {work.execution.world_size}",
            mend=f"start {work.execution.hosts} hosts with {work.execution.processes} processes each",
        )
    own = work.folder if rank == 0 else work.folder / f"rank-{rank}"
    own.mkdir(exist_ok=True)
    context = WorkerContext(own, own, own, shared=work.folder)
    signal.signal(signal.SIGTERM, context.cancel)
    shards = work.inputs["token_shards"]
    settings, documents = work.settings, open_documents(shards, "train", work.inputs.get(START_SHARDS))
    with _together(work, rank, world), thread_limit(work.execution.threads):
        if rank == 0:
            (work.folder / MET).touch()
        work = _measured(work, own)
        learner = ZeroLearner(_begin(work, documents.vocab_size), documents, settings, work.execution)
        outcome = work_out(learner, work, open_documents(shards, "validation"), context)
        tensors = {"model": learner.tensors()["model"]}
        if learner.is_main:
            state = {"guard": outcome.guard.state(), "operations": outcome.operations}
            checkpoint.save(work.folder / TRAINED, outcome.steps, tensors, state, keep=())
        learner.agree()


def _measured(work: Work, own: Path) -> Work:
    """The work with the speed of the machine it runs on, where the stage is on another."""
    if work.peak is not None:
        return work
    return work.model_copy(update={"peak": matmul_peak(work.execution, own) * work.execution.world_size})


def _begin(work: Work, vocab_size: int) -> PreTrainedModel:
    if START in work.inputs:
        return going_on_model(work.inputs[START], work.settings.sequence_length)
    if work.shape is None:
        return starting_model(work.inputs["weights"], work.inputs["tokenizer"])
    return build_model(work.shape, vocab_size=vocab_size, positions=work.settings.sequence_length, seed=work.seed)


@contextmanager
def _together(work: Work, rank: int, world: int) -> Iterator[None]:
    """Join the other processes. On one host they meet at a file and speak over the loopback interface."""
    cuda = work.execution.device == "cuda"
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    meeting = None
    if work.execution.hosts == 1:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
        place = work.folder / f"meeting-{os.environ['TORCHELASTIC_RUN_ID']}"
        meeting = dist.FileStore(str(place), world)
    dist.init_process_group("nccl" if cuda else "gloo", store=meeting, rank=rank, world_size=world)
    try:
        yield
    finally:
        dist.destroy_process_group()


def _die_with(process: int) -> None:
    """End this process as soon as that one is gone: nobody would take up its work or stop it."""
    handle = os.pidfd_open(process)

    def follow() -> None:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        poll.poll()
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=follow, name=f"die-with-{process}", daemon=True).start()


def _tell(folder: Path, error: ForgeError | OSError) -> None:
    """Leave an error where the stage finds it."""
    (folder / ERRORS).mkdir(exist_ok=True)
    if isinstance(error, OSError):
        told = {"errno": error.errno, "strerror": error.strerror, "filename": error.filename}
    else:
        told = {"kind": type(error).__name__, "problem": error.problem, "rule": error.rule, "mend": error.mend}
    (folder / ERRORS / f"{os.environ['RANK']}.json").write_text(json.dumps(told), encoding="utf-8")


def main() -> None:
    """Read the work and take part in it."""
    close()
    for process in (os.getppid(), os.environ.get(LAUNCHER)):
        if process is not None:
            _die_with(int(process))
    work = Work.model_validate_json(Path(sys.argv[1]).read_bytes())
    if pulse.TOKEN in os.environ:
        pulse.die_without(work.folder, os.environ[pulse.TOKEN])
    try:
        run(work)
    except ForgeError as error:
        _tell(work.folder, error)
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except OSError as error:
        _tell(work.folder, error)
        raise
    # What was trained is on the disk and agreed on. To finalize the interpreter would end threads of gloo that
    # DeepSpeed's groups hold, which now and then aborts a process whose work is done (pytorch/pytorch#179291).
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
