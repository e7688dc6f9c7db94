"""The scorecard of a recipe: the untrained model and every checkpoint, by lm-eval and bits per byte, and its gates."""

import hashlib
import importlib.metadata
import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.errors import DataError, InterruptedRun, VerdictError
from forge_dagster.evaluation.overall import overall
from forge_dagster.evaluation.score import Score, plain, scored_digests
from forge_dagster.gates import judge, passed
from forge_dagster.policy import Policy
from forge_dagster.policy_kinds import policy_settings
from forge_dagster.recipe import UNTRAINED, Gate, ModelSpec
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext
from forge_dagster.tokens.control import CONTROL

if TYPE_CHECKING:
    from transformers import PreTrainedModel

BITS = "validation.bits_per_byte"


class ScorecardConfig(FrozenModel):
    """What is measured, on which model and checkpoints, and what the recipe asks of it."""

    seed: int
    model: ModelSpec | None
    gates: tuple[Gate, ...]
    checkpoints: tuple[str, ...]
    policy: Policy
    batch_size: int = Field(ge=1)
    most_answers: int = Field(ge=1)
    validation_tokens: int = Field(ge=1)


def run(inputs: Mapping[str, Path], config: ScorecardConfig, out: Path, context: StageContext) -> Report:
    """Write scorecard.json and, beside, scores.png. Any failed evaluation raises; none becomes a number."""
    os.environ["HF_DATASETS_CACHE"] = str(context.work / "datasets")
    import datasets
    import torch
    from transformers import AutoTokenizer

    from forge_dagster.evaluation.harness import answers, evaluate, multiple_choice
    from forge_dagster.evaluation.plot import plot_scores
    from forge_dagster.evaluation.policy_tasks import policy_tasks, written_items
    from forge_dagster.training.precision import effective_dtype, thread_limit, threads
    from forge_dagster.training.validation import bits_per_byte

    datasets.config.HF_DATASETS_CACHE = context.work / "datasets"
    datasets.disable_progress_bars()
    benchmark = json.loads((inputs["domain_benchmark"] / "benchmark.json").read_bytes())
    questions = _questions(inputs, config, context.work / "answers.jsonl")
    form: str = policy_settings(config.policy).form
    kept = written_items(inputs["policy_items"], context.work)

    def tasks() -> list[Any]:
        made = [
            multiple_choice(task["name"], inputs["domain_benchmark"] / task["items"], task["version"])
            for task in benchmark["tasks"]
        ]
        return [*made, answers(questions, form), *policy_tasks(kept)]

    groups = {items.task: items.groups for items in kept}
    scores: dict[str, dict[str, Score]] = {}
    models = _models(inputs, config)
    with thread_limit(threads()):
        for number, (name, load) in enumerate(models.items()):
            context.progress(number, len(models), name)
            if context.cancelled():
                raise InterruptedRun("evaluation stopped", mend="run the same command again")
            torch.manual_seed(config.seed)
            model = load().eval()
            tokenizer = AutoTokenizer.from_pretrained(inputs["tokenizer"], local_files_only=True)
            scores[name] = evaluate(model, tokenizer, tasks, batch_size=config.batch_size, groups=groups)
            bits = bits_per_byte(model, inputs["token_shards"], most_tokens=config.validation_tokens)
            if not math.isfinite(bits):
                raise VerdictError(f"{name}: {BITS} = {bits}", rule="a score is a number", mend="train it again")
            scores[name] |= {BITS: Score(value=bits, stderr=None, n=1), **overall(scores[name])}
    verdicts = judge(config.gates, plain(scores))
    body = {
        "version": 1,
        "checkpoints": plain(scores),
        "gates": [verdict.model_dump() for verdict in verdicts],
        "passed": passed(verdicts),
        "scored": {name: scored_digests(inputs[f"checkpoint/{name}"]) for name in config.checkpoints},
        "settings": {
            "harness": f"lm-eval {importlib.metadata.version('lm-eval')}",
            "batch_size": config.batch_size,
            "dtype": {"lm-eval": "float32", "bits_per_byte": effective_dtype()},
            "few_shot": 0,
            "decoding": "greedy",
            "tasks": _task_digests(
                inputs["domain_benchmark"],
                benchmark,
                {"answers": questions} | {items.task: items.path for items in kept},
            ),
        },
    }
    (out / "scorecard.json").write_text(json.dumps(body, indent=1, sort_keys=False, allow_nan=False), encoding="utf-8")
    plot_scores(scores, context.beside / "scores.png")
    last = scores[config.checkpoints[-1]]
    return Report(
        counts={"checkpoints": len(scores), "gates": len(verdicts), "passed_gates": sum(v.passed for v in verdicts)},
        metrics={metric: score.value for metric, score in sorted(last.items())},
    )


def _models(inputs: Mapping[str, Path], config: ScorecardConfig) -> dict[str, Callable[[], "PreTrainedModel"]]:
    """Loaders by name: the model as the recipe found it, then each checkpoint in order."""
    from forge_dagster.model.build import build_model
    from forge_dagster.model.folder import load_model
    from forge_dagster.model.start import starting_model

    shape = json.loads((inputs[f"checkpoint/{config.checkpoints[0]}"] / "config.json").read_bytes())

    def untrained() -> "PreTrainedModel":
        if config.model is None:
            return starting_model(inputs["weights"], inputs["tokenizer"])
        return build_model(
            config.model,
            vocab_size=shape["vocab_size"],
            positions=shape["max_position_embeddings"],
            seed=config.seed,
        )

    def loader(name: str) -> Callable[[], "PreTrainedModel"]:
        return lambda: load_model(inputs[f"checkpoint/{name}"])

    return {UNTRAINED: untrained, **{name: loader(name) for name in config.checkpoints}}


def _questions(inputs: Mapping[str, Path], config: ScorecardConfig, path: Path) -> Path:
    """Held-out instructions as JSONL; a question that holds a control token's text would not be asked as text."""
    rows = pq.read_table(inputs["instructions"] / "rows.parquet", columns=["question", "answer", "split"]).to_pylist()
    held_out = [
        {"question": row["question"], "answer": row["answer"]}
        for row in rows
        if row["split"] == "held_out" and not any(token in row["question"] for token in CONTROL)
    ]
    if not held_out:
        raise DataError("no held-out question", rule="answers are judged on questions never trained on")
    held_out.sort(key=lambda row: hashlib.sha256(row["question"].encode()).digest())
    lines = [json.dumps(row, ensure_ascii=False) for row in held_out[: config.most_answers]]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _task_digests(folder: Path, benchmark: dict[str, Any], written: Mapping[str, Path]) -> dict[str, str]:
    files = {task["name"]: folder / task["items"] for task in benchmark["tasks"]} | dict(written)
    return {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}


def check(content: Path) -> list[Finding]:
    """Every checkpoint has every score; gates are shown here and enforced by the release."""
    body = json.loads((content / "scorecard.json").read_bytes())
    metrics = [set(scores) for scores in body["checkpoints"].values()]
    failed = [verdict["reason"] for verdict in body["gates"] if not verdict["passed"]]
    return [
        Finding(name="every_checkpoint_is_measured", passed=bool(metrics) and all(m == metrics[0] for m in metrics)),
        Finding(name="gates_pass", passed=not failed, observed={"failed": failed}, blocking=False),
    ]


STAGE = Stage(run=run, check=check, check_names=("every_checkpoint_is_measured", "gates_pass"), computes_floats=True)
