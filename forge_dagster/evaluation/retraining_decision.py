"""The retraining decision of a recipe: measures the model that serves on the documents of today, and decides."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.parquet as pq

from forge_dagster.evaluation import card, evidence
from forge_dagster.evaluation.candidates import candidate_in
from forge_dagster.evaluation.choices import choice_task
from forge_dagster.evaluation.domain_benchmark import read_items
from forge_dagster.evaluation.held_out import text_task
from forge_dagster.evaluation.item import Item
from forge_dagster.evaluation.items import current_fact
from forge_dagster.evaluation.measure import Task
from forge_dagster.evaluation.passages import Text
from forge_dagster.evaluation.score import Result
from forge_dagster.evaluation.scorecard import (
    ScorecardConfig,
    asked,
    data_in,
    environment,
    measured,
    tasks_of,
)
from forge_dagster.evaluation.standing import Standing
from forge_dagster.gates import Case, judge
from forge_dagster.recipe import Gate
from forge_dagster.retraining import Hold, Measured, Past, Retrain, RetrainingPolicy, Use, decide
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext
from forge_dagster.training.precision import thread_limit, threads

DECISION = "decision.json"
SERVING, SERVING_CORPUS, FORMER_CORPUS = "serving/checkpoint", "serving/corpus", "former/corpus"
"""Inputs that the release which serves was made from, and the corpus of the model before it."""
MOST_FACTS = 200
VERSION = 1


class DecisionConfig(FrozenModel):
    """The policy, how a model is measured, and what was spent."""

    policy: RetrainingPolicy
    scoring: ScorecardConfig
    past: Past
    use: Use


class Sides(NamedTuple):
    """Training documents as rows of id, source, path and text: now, and when the serving model was trained."""

    now: list[dict[str, Any]]
    then: list[dict[str, Any]]

    @property
    def new(self) -> list[dict[str, Any]]:
        """Documents it never saw."""
        known = {row["id"] for row in self.then}
        return [row for row in self.now if row["id"] not in known]


def run(inputs: Mapping[str, Path], config: DecisionConfig, out: Path, context: StageContext) -> Report:
    """Write decision.json with all that was measured, and the facts that were asked as JSONL."""
    tokens = _tokens(inputs["token_shards"])
    if SERVING in inputs:
        found = _measured(inputs, config, tokens, out, context)
    else:
        found = Measured(
            serves=False, tokens=sum(tokens.values()), new_tokens=sum(tokens.values()), gone_documents=0,
            changed_facts=0, stale_facts=0, settled_facts=0, unsettled_facts=0, new_bits_per_byte=None,
            held_out_bits_per_byte=None, failed_gates=(),
        )  # fmt: skip
    decision = decide(config.past, found, config.policy)
    body = {
        **decision.model_dump(mode="json"),
        "recipe": config.policy.name,
        "measured": found.model_dump(mode="json"),
        "past": config.past.model_dump(mode="json"),
        "policy": config.policy.model_dump(mode="json"),
    }
    (out / DECISION).write_text(json.dumps(body, indent=1, sort_keys=True), encoding="utf-8")
    counts = {name: value for name, value in found.model_dump().items() if isinstance(value, int)}
    shares = {
        "share_of_new_tokens": found.share_of_new_tokens, "staleness": found.staleness, "drift": found.drift,
        "prompt_drift": found.prompt_drift,
    }  # fmt: skip
    return Report(counts=counts, metrics={name: value for name, value in shares.items() if value is not None})


def read_decision(content: Path) -> Retrain | Hold:
    """The decision of an artifact."""
    body = json.loads((content / DECISION).read_bytes())
    kind: type[Retrain] | type[Hold] = Retrain if body["decision"] == "retrain" else Hold
    return kind.model_validate({name: body[name] for name in kind.model_fields})


def read_measured(content: Path) -> Measured:
    """What a decision was made of."""
    return Measured.model_validate(json.loads((content / DECISION).read_bytes())["measured"])


def stated(content: Path) -> dict[str, Any]:
    """What the ledger says of a decision beside its digest."""
    found = read_decision(content)
    return {"decision": found.decision, "reasons": [each.text for each in found.reasons if each.speaks != "nothing"]}


def _tokens(shards: Path) -> dict[str, int]:
    """Tokens of each training document by id."""
    rows = pq.read_table(shards / "documents.parquet", columns=["document", "split", "length"]).to_pylist()
    return {row["document"]: row["length"] for row in rows if row["split"] == "train"}


def _rows(corpus: Path) -> list[dict[str, Any]]:
    return pq.read_table(corpus / "train.parquet", columns=["id", "source", "path", "text"]).to_pylist()


def _measured(
    inputs: Mapping[str, Path], config: DecisionConfig, tokens: Mapping[str, int], out: Path, context: StageContext
) -> Measured:
    data_in(context.work / "datasets")
    sides, seed = Sides(_rows(inputs["corpus"]), _rows(inputs[SERVING_CORPUS])), config.scoring.seed
    new = sides.new
    changed = _changed_facts(sides, seed) + _superseding(inputs["domain_benchmark"], sides)
    former = Sides(sides.then, _rows(inputs[FORMER_CORPUS])) if FORMER_CORPUS in inputs else None
    settled = _changed_facts(former, seed) if former else []
    tasks = {
        **_fact_task("changed_facts", changed, out, config),
        **_fact_task("settled_facts", settled, out, config),
        **_text_task("new_documents", new, config),
        **_text_task("held_out", _validation(inputs[SERVING_CORPUS]), config),
    }
    gates = _bounds(config.scoring.gates)
    by_gate = [
        task
        for task in (tasks_of(inputs, config.scoring, context.work) if gates else ())
        if any(gate.metric in {f"{task.name}.{name}" for name in task.metrics} for gate in gates)
    ]
    every = [*tasks.values(), *by_gate]

    def progress(done: int, task: str) -> None:
        context.progress(done, len(every), f"the serving model: {task}")

    with thread_limit(threads()):
        results = measured(
            "serving", candidate_in(inputs[SERVING]), every, Standing(context.cache, environment()), seed, progress
        )
    present = {row["id"] for row in sides.now}
    return Measured(
        serves=True,
        tokens=sum(tokens.values()),
        new_tokens=sum(tokens[row["id"]] for row in new),
        gone_documents=sum(row["id"] not in present for row in sides.then),
        changed_facts=len(changed),
        stale_facts=_wrong(results.get("changed_facts", ())),
        settled_facts=len(settled),
        unsettled_facts=_wrong(results.get("settled_facts", ())),
        new_bits_per_byte=_mean(results.get("new_documents", ())),
        held_out_bits_per_byte=_mean(results.get("held_out", ())),
        failed_gates=tuple(_failed(gates, by_gate, results, config.scoring)),
        use=config.use,
    )


def _changed_facts(sides: Sides, seed: int) -> list[Item]:
    """What documents say otherwise than before at the same place: the value of now before that of then."""
    then = {(row["source"], row["path"]): row for row in sides.then}
    pairs = []
    for row in sides.now:
        old = then.get((row["source"], row["path"]))
        if old is not None and old["id"] != row["id"]:
            texts = (Text(id=each["id"], language="", text=each["text"]) for each in (old, row))
            pairs.append(current_fact.Versions(*texts))
    return current_fact.current_fact_items(pairs, seed=seed, most=MOST_FACTS)


def _superseding(benchmark: Path, sides: Sides) -> list[Item]:
    """Items of the benchmark on what a new document says otherwise than one of then that it supersedes."""
    name, new, then = current_fact.TASK.name, {row["id"] for row in sides.new}, {row["id"] for row in sides.then}
    items = [item for task, found in read_items(benchmark) if task["name"] == name for item in found]
    return [item for item in items if new & set(item["document_ids"]) and then & set(item["superseded_ids"])]


def _fact_task(name: str, items: Sequence[Item], out: Path, config: DecisionConfig) -> dict[str, Task]:
    if not items:
        return {}
    unique = {item["id"]: item for item in items}
    path = out / f"{name}.jsonl"
    path.write_text("".join(json.dumps(item, sort_keys=True) + "\n" for item in unique.values()), encoding="utf-8")
    return {name: choice_task(name, path, VERSION, config.scoring.batch_size)}


def _text_task(name: str, rows: Sequence[Mapping[str, Any]], config: DecisionConfig) -> dict[str, Task]:
    """Bits per byte of the first documents, as many whole ones as fit."""
    fitting: list[Mapping[str, Any]] = []
    left = config.scoring.validation_bytes
    for row in rows:
        left -= len(row["text"].encode())
        if row["text"] and (left >= 0 or not fitting):
            fitting.append(row)
    return {name: text_task(name, fitting)} if fitting else {}


def _validation(corpus: Path) -> list[dict[str, Any]]:
    return pq.read_table(corpus / "validation.parquet", columns=["id", "text"]).to_pylist()


def _wrong(results: Sequence[Result]) -> int:
    return sum(result.value < 1 for result in results)


def _mean(results: Sequence[Result]) -> float | None:
    weight = sum(result.weight for result in results)
    return sum(result.value * result.weight for result in results) / weight if weight else None


def _bounds(gates: Sequence[Gate]) -> list[Gate]:
    """Gates with a bound of their own, without what compares two models."""
    bounded = [gate for gate in gates if gate.minimum is not None or gate.maximum is not None]
    return [Gate(metric=gate.metric, minimum=gate.minimum, maximum=gate.maximum) for gate in bounded]


def _failed(
    gates: Sequence[Gate], tasks: Sequence[Task], found: Mapping[str, Sequence[Result]], config: ScorecardConfig
) -> list[str]:
    asking = {task.name: asked(task) for task in tasks}
    metrics = card.metrics_of(asking)
    results: dict[str, list[Result]] = {}
    for task in tasks:
        results |= evidence.by_metric(task.name, found[task.name])
    settings = {name: each.settings_digest for name, each in asking.items()}
    scores = evidence.scores_of(results, metrics, noise=config.noise, settings=settings)
    case = Case({"serving": scores}, {"serving": results}, metrics, config.beginning)
    return [verdict.reason for verdict in judge(gates, case) if verdict.outcome == "failed"]


STAGE = Stage(run=run, computes_floats=True)
