"""The scorecard of a recipe: its checkpoints by every measure, from results of items that are kept as evidence."""

import importlib.metadata
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from forge_dagster.errors import InterruptedRun, VerdictError
from forge_dagster.evaluation import card, evidence
from forge_dagster.evaluation.answers import answers
from forge_dagster.evaluation.by_source import by_source
from forge_dagster.evaluation.candidates import Candidate, candidates_of, load_subject, places
from forge_dagster.evaluation.card import Asked, Scorecard, metrics_of, read_card
from forge_dagster.evaluation.choices import domain_tasks
from forge_dagster.evaluation.contamination import contamination, with_unflagged
from forge_dagster.evaluation.guess import CONFIDENCE
from forge_dagster.evaluation.held_out import validation
from forge_dagster.evaluation.measure import Measure, Measuring, Subject, Task, pooled
from forge_dagster.evaluation.memorised import memorised
from forge_dagster.evaluation.own_tasks import own_tasks
from forge_dagster.evaluation.policy_tasks import policy_tasks
from forge_dagster.evaluation.score import Result, scored_digests
from forge_dagster.evaluation.scorecard_page import PAGE, page
from forge_dagster.evaluation.standing import Standing
from forge_dagster.evaluation.statistics import most_by_chance
from forge_dagster.evaluation.verbatim import verbatim
from forge_dagster.gates import Case, judge, known, passed
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.provenance.code_version import code_version
from forge_dagster.provenance.files import sha256_file
from forge_dagster.recipe import UNTRAINED, Gate, ModelSpec
from forge_dagster.stage import Finding, Report, Stage, StageContext
from forge_dagster.training.precision import cpu_flags, effective_dtype, thread_limit, threads

MEASURES: tuple[Measure, ...] = (
    domain_tasks,
    answers,
    policy_tasks,
    validation,
    by_source,
    own_tasks,
    memorised,
    verbatim,
    contamination,
)
LIBRARIES = ("lm-eval", "tokenizers", "torch", "transformers")


class ScorecardConfig(Measuring):
    """What is measured, on which model and checkpoints, and what the recipe asks of it."""

    model: ModelSpec | None
    gates: tuple[Gate, ...]
    noise: Mapping[str, float] = Field(description="of each metric the difference that another seed may bring")
    checkpoints: tuple[str, ...]
    beginning: str = Field(description="the checkpoint that forgetting is measured against")


def run(inputs: Mapping[str, Path], config: ScorecardConfig, out: Path, context: StageContext) -> Report:
    """Write scorecard.json and items.parquet. Any failed evaluation raises; none becomes a number."""
    from forge_dagster.evaluation.plot import plot_scores

    data_in(context.work / "datasets")
    tasks = tasks_of(inputs, config, context.work)
    asking = {task.name: asked(task) for task in tasks}
    known(config.gates, metrics_of(asking))
    standing = Standing(context.cache, environment())
    candidates = candidates_of(inputs, config.checkpoints, config.model, config.seed)
    found: dict[str, dict[str, list[Result]]] = {}
    with thread_limit(threads()):
        for number, (name, candidate) in enumerate(candidates.items()):

            def progress(done: int, task: str, number: int = number, name: str = name) -> None:
                context.progress(number * len(tasks) + done, len(candidates) * len(tasks), f"{name}: {task}")
                if context.cancelled():
                    raise InterruptedRun("evaluation stopped", mend="run the same command again")

            found[name] = measured(name, candidate, tasks, standing, config.seed, progress)
    evidence.write_evidence(found, out / evidence.FILE)
    results = evidence.read_evidence(out / evidence.FILE)
    body = assembled(
        results,
        asking,
        config,
        scored={n: scored_digests(inputs[p]) for n, p in places(inputs, config.checkpoints).items()},
        digest=sha256_file(out / evidence.FILE),
        machine=environment(),
    )
    (out / card.FILE).write_text(body.to_json(), encoding="utf-8")
    chance = {name: metric.chance for name, metric in body.metrics.items() if metric.chance is not None}
    plot_scores(body.checkpoints, chance, context.beside / "scores.png")
    (context.beside / PAGE).write_text(page(body, results, context.beside / "scores.png"), encoding="utf-8")
    last = body.checkpoints[config.checkpoints[-1]]
    return Report(
        counts={
            "checkpoints": len(body.checkpoints),
            "gates": len(body.gates),
            "passed_gates": sum(verdict.outcome == "passed" for verdict in body.gates),
        },
        metrics={metric: score.value for metric, score in sorted(last.items())},
    )


def tasks_of(inputs: Mapping[str, Path], config: Measuring, work: Path) -> list[Task]:
    """What every measure would ask of a model. Raises VerdictError if two tasks share a name."""
    tasks = [task for measure in MEASURES for task in measure(inputs, config, work)]
    names = [task.name for task in tasks]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise VerdictError(f"two tasks are called {', '.join(twice)}", rule="a score has one meaning")
    return with_unflagged(tasks)


def asked(task: Task) -> Asked:
    """The task as the scorecard names it."""
    metrics = {name: metric.model_dump() for name, metric in task.metrics.items()}
    whole = {"name": task.name, "digest": task.digest, "settings": dict(task.settings), "metrics": metrics}
    return Asked(
        digest=task.digest,
        items=len(task.items),
        settings=task.settings,
        settings_digest=fingerprint(whole),
        metrics=dict(task.metrics),
    )


def assembled(
    found: evidence.Evidence,
    tasks: Mapping[str, Asked],
    config: ScorecardConfig,
    *,
    scored: Mapping[str, Mapping[str, str]],
    digest: str,
    machine: Mapping[str, Any],
) -> Scorecard:
    """The scorecard that follows from evidence with this digest; the release makes it again and compares.

    Raises VerdictError if a score of a checkpoint has no items.
    """
    metrics = metrics_of(tasks)
    settings = {name: task.settings_digest for name, task in tasks.items()}
    checkpoints = {
        name: evidence.scores_of(results, metrics, noise=config.noise, settings=settings)
        for name, results in found.items()
    }
    verdicts = judge(config.gates, Case(checkpoints, found, metrics, config.beginning))
    return Scorecard(
        checkpoints=checkpoints,
        scored=scored,
        tasks=tasks,
        evidence={evidence.FILE: digest},
        environment=machine,
        gates=tuple(verdicts),
        passed=passed(verdicts),
    )


def environment() -> dict[str, Any]:
    """What of this machine decides the bits of a result."""
    return {
        "libraries": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "dtype": effective_dtype(),
        "threads": threads(),
        "instruction_set": sorted(flag for flag in cpu_flags() if flag.startswith(("avx", "amx", "fma"))),
    }


def measured(
    name: str,
    candidate: Candidate,
    tasks: Sequence[Task],
    standing: Standing,
    seed: int,
    progress: Callable[[int, str], None],
) -> dict[str, list[Result]]:
    """Task -> results of its items; the model is loaded when the first task has to be asked."""
    loaded: list[Subject] = []

    def ask(task: Task) -> Sequence[Result]:
        import torch

        if not loaded:
            loaded.append(load_subject(name, candidate))
        torch.manual_seed(seed)
        return task.evaluate(loaded[0])

    found: dict[str, list[Result]] = {}
    for done, task in enumerate(tasks):
        progress(done, task.name)
        if task.parts:
            found[task.name] = pooled(task.parts, found)
            continue
        code = code_version(task.evaluate.__module__)
        found[task.name] = standing.results(candidate.digest, task, code, partial(ask, task))
    return found


def data_in(folder: Path) -> None:
    """Let `datasets` keep its copies of items in `folder`."""
    os.environ["HF_DATASETS_CACHE"] = str(folder)
    import datasets

    datasets.config.HF_DATASETS_CACHE = folder
    datasets.disable_progress_bars()


def check(content: Path) -> list[Finding]:
    """Every checkpoint has every score; gates are shown here and enforced by the release."""
    body = read_card(content)
    failed = [verdict.reason for verdict in body.gates if verdict.outcome == "failed"]
    above = _above_chance(body)
    whole = all(set(scores) == set(body.metrics) for scores in body.checkpoints.values())
    return [
        Finding(name="every_checkpoint_is_measured", passed=whole),
        Finding(name="gates_pass", passed=not failed, observed={"failed": failed}, blocking=False),
        Finding(name="untrained_is_at_chance", passed=not above, observed={"above": above}, blocking=False),
    ]


def _above_chance(body: Scorecard) -> dict[str, float]:
    """Metrics of a choice in which the model before training is better than guessing; of open weights it may be."""
    scores = {name: (body.checkpoints[UNTRAINED][name], metric.chance) for name, metric in body.metrics.items()}
    return {
        name: score.value
        for name, (score, chance) in scores.items()
        if chance is not None and score.value * score.n > most_by_chance(score.n, chance, CONFIDENCE)
    }


CHECKS = ("every_checkpoint_is_measured", "gates_pass", "untrained_is_at_chance")
STAGE = Stage(run=run, check=check, check_names=CHECKS, computes_floats=True)
