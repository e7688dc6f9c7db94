"""What the TRL stages share: quiet, offline, deterministic arguments, progress, resuming, the log and its plot."""

import csv
import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import transformers
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback, TrainerCallback, set_seed
from transformers.utils import logging

from forge_dagster.errors import DataError, InterruptedRun, RecipeError
from forge_dagster.model.folder import load_model
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.provenance.files import content_digest, list_files
from forge_dagster.stage import StageContext
from forge_dagster.tokens.control import CONTROL, END
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.precision import effective_dtype
from forge_dagster.training.spent import Spent
from forge_dagster.training.stop_rules import StopRules
from forge_dagster.training.tuning import Tuning


def arguments(context: StageContext, seed: int) -> dict[str, Any]:
    """Arguments of every trainer: nothing is reported, saved, downloaded or left to chance."""
    return {
        "output_dir": str(context.work / "trainer"),
        "report_to": [],
        "disable_tqdm": True,
        "save_strategy": "no",  # Resumable saves
        "logging_steps": 1,
        "logging_nan_inf_filter": False,  # it would log the mean of earlier losses in place of one that is no number
        "seed": seed,
        "data_seed": seed,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
        "use_cpu": True,
        "bf16": effective_dtype() == "bfloat16",
        "gradient_checkpointing": False,
        "optim": "adamw_torch",
        "adam_beta2": 0.95,
        "weight_decay": 0.0,
        "max_grad_norm": 1.0,
        "lr_scheduler_type": "linear",
    }


def begin(inputs: Mapping[str, Path], seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Seed everything; load the model, and the tokenizer from its artifact.

    A turn of the chat ends with `<|end|>`, so that is its eos token.
    """
    quiet()
    set_seed(seed)
    tokenizer = transformers.AutoTokenizer.from_pretrained(inputs["tokenizer"], local_files_only=True)
    tokenizer.eos_token = END
    return load_model(inputs["previous"]), tokenizer


def reference(inputs: Mapping[str, Path], settings: Tuning) -> PreTrainedModel | None:
    """The frozen model that a training is held to; none for an adapter, without which the model is that one."""
    return None if settings.lora else load_model(inputs["previous"])


def quiet() -> None:
    """Let the libraries print nothing but errors."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    import datasets

    datasets.disable_progress_bars()


def fits(length: int, model: PreTrainedModel, name: str) -> None:
    """Raise RecipeError if `length`, the recipe's setting `name`, is more tokens than the model reads."""
    positions = model.config.max_position_embeddings
    if length > positions:
        raise RecipeError(
            f"{name} = {length}, the model reads {positions} tokens",
            rule="a conversation fits into the model's context",
            mend=f"lower {name}, or raise sequence_length of the base stage",
        )


def identity(config: TrainingJob[Any], inputs: Mapping[str, Path]) -> dict[str, str]:
    """What is trained on what, part by part: a checkpoint of another is refused."""
    return {
        "seed": str(config.seed),
        "settings": hashlib.sha256(canonical_json(config.settings.model_dump(mode="json"))).hexdigest(),
        **{name: content_digest(list_files(folder)) for name, folder in sorted(inputs.items())},
    }


class Progress(TrainerCallback):
    """Progress at every step; a checkpoint when one is due; an end after the step in which a stop was asked for."""

    def __init__(self, context: StageContext, figure: str) -> None:
        self.context, self.figure, self.text, self.stopped = context, figure, "", False
        self.trainer: Any = None

    def on_log(self, args: Any, state: Any, control: Any, logs: Mapping[str, Any] | None = None, **_: Any) -> None:
        logs = logs or {}
        if self.figure in logs:
            self.text = f"{self.figure} {float(logs[self.figure]):.3f}"
        for name in ("loss", "reward"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise DataError(
                    f"{name} = {logs[name]} at step {state.global_step}",
                    rule="losses and rewards are numbers",
                    mend="lower learning_rate",
                )

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        self.context.progress(state.global_step, state.max_steps, self.text)
        if state.global_step >= state.max_steps:
            return
        self.stopped = self.context.cancelled()
        control.should_training_stop |= self.stopped
        control.should_save |= self.stopped or time.monotonic() >= self.trainer.due


class Watch(TrainerCallback):
    """Ends a training whose log breaks a rule; `stopped` says which."""

    def __init__(self, rules: StopRules) -> None:
        self.rules = rules
        self.stopped: dict[str, Any] | None = None

    def on_log(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if self.stopped is None and state.global_step < state.max_steps:
            found = self.rules.judge(state.log_history)
            if found is not None:
                self.stopped = {"after_step": state.global_step, "of": state.max_steps, **found}
                control.should_training_stop, control.should_save = True, False


def train(
    trainer: Any,
    context: StageContext,
    identity: Mapping[str, str],
    *,
    figure: str,
    plot: str | None = None,
    name: str = "loss",
) -> list[dict[str, float]]:
    """Train a resumable trainer, from its newest checkpoint if there is one; return one row of figures a step.

    `figure` is what people watch. Writes log.csv and <name>.png, a plot of `plot` or else of `figure`, beside the
    content. Raises InterruptedRun after saving if a stop was asked for, DataError if a loss or reward is no number.
    """
    trainer.remove_callback(PrinterCallback)
    progress = Progress(context, figure)
    progress.trainer = trainer
    trainer.add_callback(progress)
    spent = Spent([trainer.model, getattr(trainer, "ref_model", None)], context)
    trainer.add_callback(spent)
    trainer.train(resume_from_checkpoint=trainer.find(context, identity))
    spent.write()
    if progress.stopped:
        raise InterruptedRun(
            f"training stopped after step {trainer.state.global_step} of {trainer.state.max_steps}, which is saved",
            mend="run the same command to go on from there",
        )
    rows = [
        {name: float(value) for name, value in row.items() if isinstance(value, (int, float))}
        for row in trainer.state.log_history
        if "train_runtime" not in row
    ]
    _write_csv(rows, context.beside / "log.csv")
    _plot(rows, plot or figure, context.beside / f"{name}.png")
    return rows


def mean(rows: Sequence[Mapping[str, float]], name: str) -> float:
    """Mean of a figure over rows that have it. Raises KeyError if none has."""
    values = [row[name] for row in rows if name in row]
    if not values:
        raise KeyError(f"the trainer logged no {name!r}")
    return sum(values) / len(values)


def ends(rows: Sequence[dict[str, float]], name: str) -> tuple[float, float]:
    """Mean of a figure over the first and over the last tenth of the steps."""
    part = max(1, len(rows) // 10)
    return mean(rows[:part], name), mean(rows[-part:], name)


def text_rows(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of a Parquet file whose texts hold no control token's name: TRL would encode it as one."""
    rows = pq.read_table(path).to_pylist()
    clean = [row for row in rows if not any(token in row[column] for column in columns for token in CONTROL)]
    if not clean:
        raise DataError(f"{path.name}: {len(rows)} rows, none usable", rule="a row holds no control token's text")
    return clean


def _write_csv(rows: Sequence[Mapping[str, float]], path: Path) -> None:
    names = sorted({name for row in rows for name in row})
    with path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.DictWriter(stream, names, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _plot(rows: Sequence[Mapping[str, float]], name: str, path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), layout="constrained", dpi=80)
    axes = figure.subplots()
    shown = [row for row in rows if name in row]
    axes.plot([row["step"] for row in shown], [row[name] for row in shown])
    axes.set_xlabel("step")
    axes.set_ylabel(name)
    figure.savefig(path)
