"""The base stage: a model trained from scratch on the token shards."""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge_dagster.corpus.rights import refuse_mixture
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.provenance.code_version import code_version
from forge_dagster.provenance.files import sha256_file
from forge_dagster.stage import START, START_SHARDS, Finding, Report, Stage, StageContext
from forge_dagster.tokens.mixture import CHECK_NAME, judge, refuse_if_apart
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.precision import cpu_flags
from forge_dagster.training.settings import WATCHING, Settings

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from forge_dagster.training.loop import Outcome
    from forge_dagster.training.router import LayerUse
    from forge_dagster.training.validation import Scored

MIXTURE = "mixture.json"
NEEDS = ("token_shards",)
CHECK_NAMES = ("folder_is_complete", "weights_are_finite", "served_as_trained")
EXPERTS_CHECK = "experts_are_alive"
TRAINING = "training.json"
BEGUN = "begun.json"
"""Beside the content: after which step of an earlier training this one began. It changes nothing of the result."""
LAST_ROWS = 20
"""Steps over which the final loss is averaged."""


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Pre-train from scratch; write a Hugging Face folder, training.json and mixture.json; beside it logs and plots.

    Where a checkpoint to go on from is among the inputs, train that one further, and write forgetting.json.
    Resumes from context.work. Raises DataError, RecipeError, InterruptedRun, StorageError or OSError as the loop does.
    """
    from forge_dagster.model.build import build_model

    if START in inputs:
        return _go_on(inputs, config, out, context)

    def begin(vocab_size: int) -> "PreTrainedModel":
        positions = config.settings.sequence_length
        return build_model(config.shape, vocab_size=vocab_size, positions=positions, seed=config.seed)

    return train(inputs, config, out, context, begin)


def _go_on(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    from forge_dagster.model.folder import load_model
    from forge_dagster.model.start import going_on_model
    from forge_dagster.training.forgetting import altogether, by_source, write_forgetting

    settings, shards, former = config.settings, inputs["token_shards"], inputs[START_SHARDS]
    start = load_model(inputs[START])
    before, known = by_source(start, shards, settings, context), altogether(start, former, settings, context)
    report = train(
        inputs, config, out, context, lambda vocab_size: going_on_model(inputs[START], settings.sequence_length)
    )
    trained = load_model(out)
    after, knows = by_source(trained, shards, settings, context), altogether(trained, former, settings, context)
    told = {"held_out_documents_of_the_start": {"before": known, "after": knows}}
    metrics = write_forgetting(out, before, after, knows - known, told)
    return report.model_copy(update={"metrics": {**report.metrics, **metrics}})


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
    from forge_dagster.training.cost import matmul_peak, write_cost
    from forge_dagster.training.execution import execution
    from forge_dagster.training.gang import elsewhere, launch
    from forge_dagster.training.learner import Learner
    from forge_dagster.training.log import read
    from forge_dagster.training.loop import check_data
    from forge_dagster.training.order import order_of, shares_of
    from forge_dagster.training.precision import notice, thread_limit, threads
    from forge_dagster.training.retained import Retention
    from forge_dagster.training.router import RouterCounts
    from forge_dagster.training.validation import score_sources
    from forge_dagster.training.work import Work, work_out

    refuse_mixture(inputs, config.limits)
    settings, how = config.settings, execution(parallel=True)
    documents = open_documents(inputs["token_shards"], "train", inputs.get(START_SHARDS))
    held_out = open_documents(inputs["token_shards"], "validation")
    check_data(documents, settings)
    order = order_of(documents, settings, config.seed)
    shares = shares_of(order, documents, settings)
    refuse_if_apart(shares)
    (out / MIXTURE).write_text(json.dumps(shares, indent=1, sort_keys=True), encoding="utf-8")
    context.progress(0, settings.steps, notice(how.dtype) or f"training in {how.dtype}")
    with thread_limit(how.threads):
        model = begin(documents.vocab_size)
        identity = identity_of(config, inputs)
        retention = Retention(context.cache, context.work, documents, order, settings, identity, made_by(how.numerics))
        begun = retention.adopt(tell=lambda text: context.progress(0, settings.steps, text))
        (context.beside / BEGUN).write_text(json.dumps({"after_step": begun}), encoding="utf-8")
        work = Work(
            seed=config.seed,
            shape=config.model,
            settings=Settings(**config.settings.model_dump(include=set(Settings.model_fields))),
            inputs=dict(inputs),
            folder=context.work,
            identity=identity,
            execution=how,
            peak=None if elsewhere(how) else matmul_peak(how, context.cache) * how.world_size,
        )
        if how.world_size == 1:
            outcome = work_out(Learner(model, documents, settings, how), work, held_out, context)
        else:
            outcome = launch(model, work, context)
    with thread_limit(threads()):
        routers = RouterCounts(model)
        final = score_sources(
            model,
            held_out,
            most_tokens=settings.validation_tokens,
            dtype=how.dtype,
            window=settings.sequence_length,
        )
        uses = routers.take()
        routers.close()
    write_model(model, inputs["tokenizer"], out)
    (out / TRAINING).write_bytes(canonical_json(_training(outcome, uses)) + b"\n")
    write_cost(out, tokens=outcome.steps * settings.batch_tokens, operations=outcome.operations)
    rows = read(outcome.log)
    _keep_beside(rows, context)
    retention.retain()
    return Report(
        counts={
            "parameters": model.num_parameters(),
            "steps": outcome.steps,
            "updates": outcome.updates,
            "skipped_steps": len(outcome.guard.skipped),
            "rewinds": len(outcome.guard.rewinds),
            "tokens": outcome.steps * settings.batch_tokens,
        },
        metrics=_metrics(rows, final, outcome),
    )


def check(content: Path) -> list[Finding]:
    """Judge a model's or an adapter's folder: all files are there, weights are numbers, chats are served as trained."""
    from forge_dagster.model.adapter import CONFIG, WEIGHTS
    from forge_dagster.model.serving import served_as_trained

    if (content / CONFIG).exists() or (content / WEIGHTS).exists():
        findings = check_files(content, (CONFIG,), WEIGHTS)
    else:
        findings = check_files(content, ("config.json", "generation_config.json"))
    if not findings[0].passed:
        return [*findings, Finding(name=CHECK_NAMES[2], passed=False)]
    return [*findings, served_as_trained(content)]


def check_files(
    content: Path, more: tuple[str, ...] = ("config.json",), weights: str = "model.safetensors"
) -> list[Finding]:
    """Judge any folder of weights: every file that a reader needs is there, and every weight is a number."""
    from safetensors import safe_open

    wanted = (weights, "tokenizer.json", "tokenizer_config.json", *more)
    missing = [name for name in wanted if not (content / name).is_file()]
    broken: list[str] = []
    if weights not in missing:
        with safe_open(content / weights, framework="pt") as tensors:
            broken = [name for name in tensors.keys() if not tensors.get_tensor(name).isfinite().all()]  # noqa: SIM118
    return [
        Finding(name=CHECK_NAMES[0], passed=not missing, observed={"missing": missing}),
        Finding(name=CHECK_NAMES[1], passed=not missing and not broken, observed={"not_finite": broken}),
    ]


def check_trained(content: Path) -> list[Finding]:
    """Judge a pre-trained model: its folder, the shares its sources had, and that no expert sits idle.

    An idle expert costs quality, not soundness.
    """
    from forge_dagster.training.router import LayerUse

    layers = [LayerUse(**layer) for layer in json.loads((content / TRAINING).read_bytes())["routers"]]
    dead = {f"layer {number}": layer.dead for number, layer in enumerate(layers) if layer.dead}
    experts = sum(len(layer.shares) for layer in layers)
    return [
        *check(content),
        judge(json.loads((content / MIXTURE).read_bytes())),
        Finding(name=EXPERTS_CHECK, passed=not dead, observed={"experts": experts, "dead": dead}, blocking=False),
    ]


def _training(outcome: "Outcome", uses: "list[LayerUse]") -> dict[str, Any]:
    """What happened in the training that the weights show no more; the routers are those of the last validation."""
    return {
        "steps": outcome.steps,
        "updates": outcome.updates,
        "skipped": outcome.guard.skipped,
        "rewinds": [{"steps_done": done, "back_to": anchor} for done, anchor in outcome.guard.rewinds],
        "routers": [use._asdict() for use in uses],
    }


def _metrics(rows: list[dict[str, Any]], final: "dict[str, Scored]", outcome: "Outcome") -> dict[str, float]:
    from forge_dagster.training.validation import together

    losses = [row["loss"] for row in rows[-LAST_ROWS:] if "loss" in row]
    return {
        "loss": sum(losses) / len(losses),
        "validation_bits_per_byte": together(final.values()).bits_per_byte,
        **{f"validation_bits_per_byte/{name}": scored.bits_per_byte for name, scored in final.items()},
        "floating_point_operations": float(outcome.operations),
    }


def _keep_beside(rows: list[dict[str, Any]], context: StageContext) -> None:
    from forge_dagster.training.log import write_csv, write_router_csv
    from forge_dagster.training.plots import draw

    shutil.copyfile(context.work / "log.jsonl", context.beside / "log.jsonl")
    measured = [folder / "matmul-peak.json" for folder in (context.work, context.cache)]
    shutil.copyfile(next(path for path in measured if path.is_file()), context.beside / "matmul-peak.json")
    write_csv(rows, context.beside / "log.csv")
    if any("router" in row for row in rows):
        write_router_csv(rows, context.beside / "router.csv")
    draw(rows, context.beside)


def _digest(value: Any) -> str:
    return hashlib.sha256(canonical_json(value)).hexdigest()


def made_by(numerics: Mapping[str, Any]) -> dict[str, Any]:
    """What else decides the bits of a step: code with its libraries, numerics, and the processor."""
    return {
        # The closure of `continued` holds that of `base`.
        "code_version": code_version("forge_dagster.stages.continued"),
        "processor": _digest(sorted(cpu_flags())),
        **numerics,
    }


def identity_of(config: TrainingJob[Any], inputs: Mapping[str, Path]) -> dict[str, str]:
    """Return what is trained on what, part by part, without what does not change the result."""
    shards, weights = inputs["token_shards"], inputs.get("weights")
    start = sha256_file(weights / "weights.json") if weights else config.shape.model_dump(mode="json")
    if START in inputs:
        start = sha256_file(inputs[START] / "model.safetensors")
    return {
        "seed": str(config.seed),
        "model": _digest(start),
        "settings": _digest(config.settings.model_dump(mode="json", exclude=set(WATCHING))),
        "data": _digest({path.name: sha256_file(path) for path in sorted(shards.iterdir())}),
    }


STAGE = Stage(
    run=run,
    check=check_trained,
    check_names=(*CHECK_NAMES, CHECK_NAME, EXPERTS_CHECK),
    computes_floats=True,
    parallel=True,
)
