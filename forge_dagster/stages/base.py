"""The base stage: a model trained from scratch on the token shards."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge_dagster.stage import Finding, Report, Stage, StageContext
from forge_dagster.tokens.mixture import CHECK_NAME, judge, realised, refuse_if_apart
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.settings import Settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MIXTURE = "mixture.json"
NEEDS = ("token_shards",)
CHECK_NAMES = ("folder_is_complete", "weights_are_finite")
LAST_ROWS = 20
"""Steps over which the final loss is averaged."""


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Pre-train from scratch and write a Hugging Face folder and mixture.json; beside it log.csv and loss.png.

    Resumes from context.work. Raises DataError, RecipeError, InterruptedRun or OSError as the loop does.
    """
    from forge_dagster.model.build import build_model

    def begin(vocab_size: int) -> "PreTrainedModel":
        positions = config.settings.sequence_length
        return build_model(config.shape, vocab_size=vocab_size, positions=positions, seed=config.seed)

    return train(inputs, config, out, context, begin)


def train(
    inputs: Mapping[str, Path],
    config: TrainingJob[Any],
    out: Path,
    context: StageContext,
    begin: Callable[[int], "PreTrainedModel"],
) -> Report:
    """Pre-train what `begin`, given the size of the vocabulary, returns; write it as `run` says."""
    from forge_dagster.model.folder import write_model
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.log import plot, read
    from forge_dagster.training.loop import check_data, pretrain
    from forge_dagster.training.order import order_of
    from forge_dagster.training.precision import effective_dtype, notice, thread_limit, threads
    from forge_dagster.training.validation import bits_per_byte

    settings, dtype = config.settings, effective_dtype()
    documents = open_documents(inputs["token_shards"], "train")
    check_data(documents, settings)
    order = order_of(documents, settings, config.seed)
    shares = realised(order, documents, settings.mixture, settings.steps * settings.rows)
    refuse_if_apart(shares)
    (out / MIXTURE).write_text(json.dumps(shares, indent=1, sort_keys=True), encoding="utf-8")
    context.progress(0, settings.steps, notice(dtype) or f"training in {dtype}")
    with thread_limit(threads()):
        model = begin(documents.vocab_size)
        outcome = pretrain(
            model,
            documents,
            settings,
            seed=config.seed,
            identity=_identity(config, inputs),
            dtype=dtype,
            context=context,
        )
        score = bits_per_byte(
            model,
            inputs["token_shards"],
            most_tokens=settings.validation_tokens,
            dtype=dtype,
            window=settings.sequence_length,
        )
    write_model(model, inputs["tokenizer"], out)
    shutil.copyfile(outcome.log, context.beside / "log.csv")
    rows = list(read(outcome.log))
    plot(rows, context.beside / "loss.png")
    losses = [row.loss for row in rows[-LAST_ROWS:] if row.loss == row.loss]
    return Report(
        counts={
            "parameters": model.num_parameters(),
            "steps": outcome.steps,
            "skipped_steps": outcome.skipped,
            "tokens": outcome.steps * settings.batch_tokens,
        },
        metrics={"loss": sum(losses) / len(losses), "validation_bits_per_byte": score},
    )


def check(content: Path) -> list[Finding]:
    """Judge a model folder: every file that a reader needs is there, and every weight is a number."""
    from safetensors import safe_open

    wanted = ("config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
    missing = [name for name in wanted if not (content / name).is_file()]
    broken: list[str] = []
    if "model.safetensors" not in missing:
        with safe_open(content / "model.safetensors", framework="pt") as weights:
            broken = [name for name in weights.keys() if not weights.get_tensor(name).isfinite().all()]  # noqa: SIM118
    return [
        Finding(name=CHECK_NAMES[0], passed=not missing, observed={"missing": missing}),
        Finding(name=CHECK_NAMES[1], passed=not missing and not broken, observed={"not_finite": broken}),
    ]


def check_trained(content: Path) -> list[Finding]:
    """Judge a pre-trained model: its folder, and the shares its sources had."""
    return [*check(content), judge(json.loads((content / MIXTURE).read_bytes()))]


def _identity(config: TrainingJob[Any], inputs: Mapping[str, Path]) -> str:
    """Return a digest of what is trained on what, without what does not change the result."""
    shards, weights = inputs["token_shards"], inputs.get("weights")
    settings = config.settings.model_dump(mode="json", exclude={"checkpoint_every_steps"})
    value = {
        "seed": config.seed,
        "model": config.model and config.model.model_dump(mode="json"),
        "settings": settings,
        "weights": weights and hashlib.sha256((weights / "weights.json").read_bytes()).hexdigest(),
        "meta": json.loads((shards / "meta.json").read_text(encoding="utf-8")),
        "index": hashlib.sha256((shards / "documents.parquet").read_bytes()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


STAGE = Stage(run=run, check=check_trained, check_names=(*CHECK_NAMES, CHECK_NAME), computes_floats=True)
