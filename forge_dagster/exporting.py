"""A hop after a release, on demand: it as files of another runtime, compared with the original token by token, scored
on the same items, and refused where it loses more than agreed."""

import json
import shutil
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from forge_dagster.errors import InterruptedRun, UserError
from forge_dagster.evaluation import card, evidence
from forge_dagster.evaluation.by_runner import DOMAIN, Question, answered, questions, tasks_of
from forge_dagster.evaluation.card import Scorecard, metrics_of, read_card
from forge_dagster.evaluation.held_out import METRIC, first_documents
from forge_dagster.evaluation.score import Result, scored_digests
from forge_dagster.evaluation.scorecard import asked, environment
from forge_dagster.evaluation.statistics import interval
from forge_dagster.export import ExportPolicy, Runner, Source
from forge_dagster.export_kinds import export_kind, require, targets
from forge_dagster.gates import Case, judge, passed
from forge_dagster.provenance.files import sha256_file
from forge_dagster.recipe import Gate
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext
from forge_dagster.tokens.encoding import TOKENIZER_FILES, encode_chat
from forge_dagster.tokens.tokenizer import PROBES
from forge_dagster.training.precision import thread_limit, threads

if TYPE_CHECKING:
    from forge_dagster.model.runner import Transformers

RELEASE, EXPORT = "release", "export"
"""Names of the original and of what was made of it in the scorecard."""
FILE, SPEED = "export.json", "speed.json"
CHECK_NAMES = ("same_tokens", "computes_as_the_original", "loses_no_more_than_agreed")
GATED = (f"{DOMAIN}.acc", f"validation.{METRIC}")
PROMPTS, PROMPT_TOKENS, ANSWER_TOKENS = 8, 16, 32


class ExportConfig(FrozenModel):
    """What is made, and what it may lose."""

    kind: str
    precision: str
    policy: ExportPolicy


def run(inputs: Mapping[str, Path], config: ExportConfig, out: Path, context: StageContext) -> Report:
    """Write model/, README.md, export.json, scorecard.json and items.parquet; beside them the speed.

    Raises UserError if no release serves, or the kind does not take its architecture or is not installed.
    """
    from forge_dagster.model.runner import Transformers

    source = source_of(inputs)
    targets([f"{config.kind}/{config.precision}"], source.architecture)
    require(config.kind)
    kind, model = export_kind(config.kind), out / "model"
    model.mkdir()
    context.progress(0, 1, "converting")
    kind.make(source, config.precision, model)
    for name in TOKENIZER_FILES:
        shutil.copyfile(source.folder / name, model / name)
    shutil.copyfile(inputs[RELEASE] / "README.md", out / "README.md")
    with thread_limit(threads()), kind.opened(model, threads()) as exported:
        original = Transformers(source.folder)
        positions = source.config["max_position_embeddings"] - 1  # llama.cpp keeps a place for what it says
        documents = first_documents(inputs["corpus"] / "validation.parquet", config.policy.validation_bytes)
        wanted = questions(inputs["domain_benchmark"], documents, original.encoder, positions)
        runners: dict[str, Runner] = {RELEASE: original, EXPORT: exported}
        found, told = _answers(runners, wanted, context)
        texts = [*(row["text"] for row in documents), *PROBES]
        prompts = _prompts(original, texts[: min(PROMPTS, len(documents))])
        said: dict[str, list[list[int]]] = {}
        speed: dict[str, float] = {}
        for name, runner in runners.items():
            said[name], speed[name] = _greedy(runner, prompts)
        other = [text for text in texts if exported.encode(text) != original.encode(text)]
    apart = np.abs(told[RELEASE] - told[EXPORT])
    agreement: dict[str, Any] = {
        "tokens": len(apart),
        "mean_nats": float(apart.mean()),
        "most_nats": float(apart.max()),
        "greedy_tokens": sum(map(len, said[RELEASE])),
        "greedy_same": sum(_alike(*pair) for pair in zip(said[RELEASE], said[EXPORT], strict=True)),
        "texts": len(texts),
        "tokenized_otherwise": [text[:80] for text in other[:5]],
    }
    body = _scorecard(found, wanted, config.policy, source, out)
    size = sum(path.stat().st_size for path in model.rglob("*") if path.is_file())
    manifest = {
        "version": 1,
        "recipe": source.name,
        "kind": config.kind,
        "precision": config.precision,
        "architecture": source.architecture,
        "label": dict(source.label),
        "weights": scored_digests(source.folder),
        "bytes": size,
        "tolerance": kind.PRECISIONS[config.precision].tolerance,
        "agreement": agreement,
    }
    (out / FILE).write_text(json.dumps(manifest, indent=1, sort_keys=True), encoding="utf-8")
    (context.beside / SPEED).write_text(json.dumps({"threads": threads(), "tokens_per_second": speed}, indent=1))
    scores = body.checkpoints[EXPORT]
    return Report(
        counts={"bytes": size, "tokens": len(apart), "items": scores[GATED[0]].n},
        metrics={"mean_nats": agreement["mean_nats"], **{name: scores[name].value for name in GATED}},
    )


def source_of(inputs: Mapping[str, Path]) -> Source:
    """The model of the release. Raises UserError if none serves."""
    if RELEASE not in inputs:
        raise UserError("no release serves", rule="an export is made of the release that serves", mend="forge run")
    manifest = json.loads((inputs[RELEASE] / "manifest.json").read_bytes())
    folder = inputs[RELEASE] / "model"
    config = json.loads((folder / "config.json").read_bytes())
    return Source(folder, manifest["recipe"]["name"], config, manifest["data"]["label"])


def _answers(
    runners: Mapping[str, Runner], wanted: Sequence[Question], context: StageContext
) -> tuple[dict[str, dict[str, list[Result]]], dict[str, np.ndarray]]:
    rows = sum(len(each.rows) for each in wanted)
    found: dict[str, dict[str, list[Result]]] = {}
    told: dict[str, np.ndarray] = {}
    for number, (name, runner) in enumerate(runners.items()):

        def progress(done: int, number: int = number, name: str = name) -> None:
            context.progress(number * rows + done, len(runners) * rows, f"{name}: questions")
            if context.cancelled():
                raise InterruptedRun("the export stopped", mend="run the same command again")

        found[name], told[name] = answered(runner, wanted, progress)
    return found, told


def _scorecard(
    found: Mapping[str, Mapping[str, Sequence[Result]]],
    wanted: Sequence[Question],
    policy: ExportPolicy,
    source: Source,
    out: Path,
) -> Scorecard:
    tasks = {task.name: asked(task) for task in tasks_of(wanted)}
    evidence.write_evidence(found, out / evidence.FILE)
    results = evidence.read_evidence(out / evidence.FILE)
    metrics = metrics_of(tasks)
    settings = {name: task.settings_digest for name, task in tasks.items()}
    scores = {name: evidence.scores_of(each, metrics, noise={}, settings=settings) for name, each in results.items()}
    # What it began as is the release, and what is lost on the way is forgotten.
    limits = (policy.max_loss, policy.max_bits)
    gates = [Gate(metric=metric, forgetting=most) for metric, most in zip(GATED, limits, strict=True)]
    verdicts = judge(gates, Case(scores, results, metrics, RELEASE))
    body = Scorecard(
        checkpoints=scores,
        scored={RELEASE: scored_digests(source.folder)},
        tasks=tasks,
        evidence={evidence.FILE: sha256_file(out / evidence.FILE)},
        environment=environment(),
        gates=tuple(verdicts),
        passed=passed(verdicts),
    )
    (out / card.FILE).write_text(body.to_json(), encoding="utf-8")
    return body


def _prompts(original: "Transformers", texts: Sequence[str]) -> list[list[int]]:
    """Beginnings of texts, each also as a question in the chat."""
    begun = [original.encode(text)[:PROMPT_TOKENS] for text in texts]
    asked = [{"role": "user", "content": original.encoder.decode(ids)} for ids in begun]
    return [*begun, *(encode_chat(original.encoder, [each], answer_next=True) for each in asked)]


def _greedy(runner: Runner, prompts: Iterable[Sequence[int]]) -> tuple[list[list[int]], float]:
    """What a runner says after each prompt, and how many tokens it says in a second."""
    begun = time.perf_counter()
    said = [runner.greedy(prompt, ANSWER_TOKENS) for prompt in prompts]
    return said, round(sum(map(len, said)) / (time.perf_counter() - begun), 1)


def _alike(ours: Sequence[int], theirs: Sequence[int]) -> int:
    """Tokens up to the first that differs."""
    apart = (at for at, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1])
    return next(apart, min(len(ours), len(theirs)))


def scores_in(content: Path) -> dict[str, dict[str, Any]]:
    """Of the original and the export: value, n and 95 % interval of what the gate looks at, as plain data."""
    body, results = read_card(content), evidence.read_evidence(content / evidence.FILE)
    return {
        name: {
            metric: {
                "value": scores[metric].value,
                "n": scores[metric].n,
                "interval": interval(results[name][metric], scores[metric]),
            }
            for metric in GATED
        }
        for name, scores in body.checkpoints.items()
    }


def check(content: Path) -> list[Finding]:
    """The export reads text as the original, computes what it computes, and loses no more than agreed."""
    told, body = json.loads((content / FILE).read_bytes()), read_card(content)
    agreement = told["agreement"]
    apart = {name: agreement[name] for name in ("mean_nats", "most_nats", "greedy_same", "greedy_tokens")}
    lost = [verdict.reason for verdict in body.gates if verdict.outcome == "failed"]
    return [
        Finding(
            name=CHECK_NAMES[0],
            passed=not agreement["tokenized_otherwise"],
            observed={"texts": agreement["texts"], "otherwise": agreement["tokenized_otherwise"]},
        ),
        Finding(
            name=CHECK_NAMES[1],
            passed=agreement["mean_nats"] <= told["tolerance"],
            observed={**apart, "tolerance": told["tolerance"]},
        ),
        Finding(
            name=CHECK_NAMES[2],
            passed=not lost,
            observed={"lost": lost, "bytes": told["bytes"], "scores": scores_in(content)},
        ),
    ]


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
