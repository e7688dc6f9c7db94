"""The pre-training loop: packed batches in a computed order, guarded updates, checkpoints that resume bit for bit."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from forge_dagster.errors import DataError, InterruptedRun, RecipeError
from forge_dagster.stage import StageContext
from forge_dagster.tokens.reader import Documents
from forge_dagster.training import checkpoint
from forge_dagster.training.guard import Guard
from forge_dagster.training.learner import Learner
from forge_dagster.training.order import order_of
from forge_dagster.training.recorder import Recorder, Taken
from forge_dagster.training.schedule import warmup_stable_decay
from forge_dagster.training.settings import Settings

LEAST_UPDATES = 0.5
"""Part of the steps that must have moved the weights."""


@dataclass(frozen=True)
class Outcome:
    """How a training went; `log` is its JSONL file in the work folder."""

    steps: int
    guard: Guard
    operations: int
    log: Path

    @property
    def updates(self) -> int:
        """Steps that the weights have in them."""
        return self.guard.updates(self.steps)


def pretrain(
    learner: Learner,
    *,
    seed: int,
    identity: Mapping[str, str],
    context: StageContext,
    validate: Callable[[], Mapping[str, float]],
    peak: float | None = None,
    checkpoints: Path | None = None,
) -> Outcome:
    """Train the learner's model in place for all its steps, from the newest checkpoint if there is one.

    `identity` names what is trained on what, part by part; a checkpoint of another identity is refused
    (IntegrityError). `validate` returns bits per byte by source. `checkpoints`: their folder if it is not in
    context.work. Raises InterruptedRun after saving when context.cancelled(); DataError if the documents are too few or
    too short; RecipeError if the training diverges; StorageError if the disk has no room for the checkpoints.
    """
    settings, documents = learner.settings, learner.documents
    check_data(documents, settings)
    order = order_of(documents, settings, seed)
    folder = checkpoints or context.work / "checkpoints"
    if learner.is_main:
        checkpoint.preflight(folder, learner.state_bytes, retained=len(settings.retained_steps))
    found = learner.find(
        lambda: checkpoint.resume(folder, identity, tell=lambda text: context.progress(0, settings.steps, text)),
        lambda step: checkpoint.load(folder, step),
    )
    first = found.step if found else 0
    guard = Guard(settings.spike_sigmas, **(found.state["guard"] if found else {}))
    recorder = Recorder(
        learner,
        context.work / "log.jsonl",
        peak=peak,
        validate=validate,
        steps_done=first,
        operations=found.state["operations"] if found else 0,
    )

    def save(steps_done: int) -> float:
        """Save, and return when the next checkpoint is due."""
        begun = time.monotonic()
        recorder.log.sync()
        state = {"identity": dict(identity), "guard": guard.state(), "operations": recorder.operations}
        tensors = learner.tensors()
        if learner.is_main:
            checkpoint.save(folder, steps_done, tensors, state, keep={*guard.anchors, *settings.retained_steps})
        learner.agree()  # nobody goes on before it is saved
        return checkpoint.next_due(begun)

    due = checkpoint.next_due()
    if found:
        learner.load(found.tensors)
        context.progress(first, settings.steps, f"going on after step {first}")
    else:
        guard.anchor(0)
        due = save(0)
    for step in range(first, settings.steps):
        begun, done = time.monotonic(), step + 1
        lr = warmup_stable_decay(
            step, settings.steps, warmup_share=settings.warmup_share, decay_share=settings.decay_share
        )
        rows = order.batch(step)
        loss, norm = learner.gradients(rows)
        verdict = guard.judge(step, loss, norm)
        if verdict == "taken":
            learner.update(lr)
        else:
            learner.skip()
        seconds = time.monotonic() - begun
        words = recorder.step(
            Taken(step, loss, norm, lr, verdict), rows, seconds=seconds, validate=settings.validates_after(done)
        )
        if guard.must_rewind(step):
            anchor = guard.rewind(step)
            learner.load(checkpoint.load(folder, anchor).tensors)
            words = f"too many steps skipped: went back to the weights after step {anchor}"
        context.progress(done, settings.steps, words)
        stopping, saving = learner.agree(context.cancelled(), _due(done, settings, due))
        at_anchor = done % settings.rewind_steps == 0
        if done < settings.steps and (stopping or at_anchor or saving):
            if at_anchor:
                guard.anchor(done)
            due = save(done)
        if stopping and done < settings.steps:
            recorder.close()
            raise InterruptedRun(
                f"training stopped after step {done} of {settings.steps}, which is saved",
                mend="run the same command to go on from there",
            )
    recorder.close()
    outcome = Outcome(steps=settings.steps, guard=guard, operations=recorder.operations, log=recorder.log.path)
    _refuse_idle(outcome)
    return outcome


def check_data(documents: Documents, settings: Settings) -> None:
    """Raise DataError unless the documents fill a row and a batch."""
    if documents.longest < settings.sequence_length:
        raise DataError(
            f"sequence_length = {settings.sequence_length}, the longest document has {documents.longest} tokens",
            rule="a context longer than any document is never filled by one",
            mend=f"lower sequence_length to {documents.longest} or less, or add longer documents",
        )
    if documents.tokens < settings.batch_tokens:
        raise DataError(
            f"batch_tokens = {settings.batch_tokens}, the training documents have {documents.tokens} tokens",
            rule="one batch reads no document twice",
            mend=f"lower batch_tokens to {documents.tokens} or less, or add documents",
        )


def _due(done: int, settings: Settings, due: float) -> bool:
    if done in settings.retained_steps:
        return True
    if settings.checkpoint_every_steps is not None:
        return done % settings.checkpoint_every_steps == 0
    return time.monotonic() >= due


def _refuse_idle(outcome: Outcome) -> None:
    if outcome.updates < LEAST_UPDATES * outcome.steps:
        raise RecipeError(
            f"{outcome.updates} of {outcome.steps} steps moved the weights, the others were skipped or taken back",
            rule=f"at least {LEAST_UPDATES:.0%} of the steps of a training count",
            mend="lower muon_lr and embedding_lr",
        )
