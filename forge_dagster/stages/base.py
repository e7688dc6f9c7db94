"""The base stage: a model trained from scratch on the token shards."""

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from forge_dagster.stage import Finding, Report, Stage, StageContext
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.settings import Settings

NEEDS = ("token_shards",)
CHECK_NAMES = ("folder_is_complete", "weights_are_finite")
LAST_ROWS = 20
"""Steps over which the final loss is averaged."""


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Pre-train and write a Hugging Face folder; beside it log.csv and loss.png.

    Resumes from context.work. Raises DataError, RecipeError, InterruptedRun or OSError as the loop does.
    """
    from forge_dagster.model.build import build_model
    from forge_dagster.model.folder import write_model
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.log import plot, read
    from forge_dagster.training.loop import check_data, pretrain
    from forge_dagster.training.precision import effective_dtype, notice, thread_limit, threads
    from forge_dagster.training.validation import bits_per_byte

    settings, dtype = config.settings, effective_dtype()
    documents = open_documents(inputs["token_shards"], "train")
    check_data(documents, settings)
    context.progress(0, settings.steps, notice(dtype) or f"training in {dtype}")
    with thread_limit(threads()):
        model = build_model(
            config.model, vocab_size=documents.vocab_size, positions=settings.sequence_length, seed=config.seed
        )
        outcome = pretrain(
            model,
            documents,
            settings,
            seed=config.seed,
            identity=_identity(config, inputs["token_shards"]),
            dtype=dtype,
            context=context,
        )
        score = bits_per_byte(model, inputs["token_shards"], most_tokens=settings.validation_tokens, dtype=dtype)
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


def _identity(config: TrainingJob[Settings], shards: Path) -> str:
    """Return a digest of what is trained on what, without what does not change the result."""
    settings = config.settings.model_dump(mode="json", exclude={"checkpoint_every_steps"})
    value = {
        "seed": config.seed,
        "model": config.model.model_dump(mode="json"),
        "settings": settings,
        "meta": json.loads((shards / "meta.json").read_text(encoding="utf-8")),
        "index": hashlib.sha256((shards / "documents.parquet").read_bytes()).hexdigest(),
    }
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
