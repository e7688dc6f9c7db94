"""A proxy of a recipe: its first stages at a smaller number of tokens on some documents, measured by one task."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.chain import stage_module
from forge_dagster.declared import training_job
from forge_dagster.errors import UserError
from forge_dagster.evaluation.candidates import candidate_in, load_subject
from forge_dagster.evaluation.measure import Measuring, Task
from forge_dagster.evaluation.score import Metric, Result
from forge_dagster.evaluation.scorecard import data_in, environment, tasks_of
from forge_dagster.evaluation.standing import Standing
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.provenance.code_version import code_version
from forge_dagster.provenance.files import content_digest, list_files, remove
from forge_dagster.recipe import Recipe
from forge_dagster.stage import LocalContext, local_context
from forge_dagster.tokens import shards

REPLIES = ("answers.", "policy_")
"""Metrics of replies in the chat: only a tuned model gives any."""
Progress = Callable[[int, int, str], None]


class Asked(NamedTuple):
    """The task that a proxy is measured by, and which of its metrics."""

    task: Task
    metric: str
    how: Metric


def asked(metric: str, inputs: Mapping[str, Path], measuring: Measuring, work: Path) -> Asked:
    """The task with `task.metric`. Raises UserError if there is none, or it is no mean over items."""
    work.mkdir(parents=True, exist_ok=True)
    data_in(work / "datasets")
    known = {
        f"{task.name}.{name}": Asked(task, name, how)
        for task in tasks_of(inputs, measuring, work)
        for name, how in task.metrics.items()
        if how.aggregate == "mean"
    }
    if metric not in known:
        raise UserError(f"--metric {metric!r}", rule=f"one of {', '.join(sorted(known))}", mend="choose one of these")
    return known[metric]


def shortened(recipe: Recipe, tokens: int, metric: str) -> Recipe:
    """The recipe's first stage on so many tokens, and its SFT if the metric is of replies. Raises UserError."""
    first, *others = recipe.stages
    batch = first.settings.get("batch_tokens")
    if batch is None or tokens < batch:
        raise UserError(
            f"{tokens} tokens for a proxy of {recipe.name}, whose first stage is {first.stage}",
            rule=f"a proxy trains its first stage on at least one batch, here {batch}",
            mend="raise --tokens",
        )
    kept = [first.model_copy(update={"settings": {**first.settings, "tokens": tokens // batch * batch}})]
    if metric.startswith(REPLIES):
        kept += [entry for entry in others if entry.stage == "sft"][:1]
    return recipe.model_copy(update={"stages": tuple(kept)})


class Proxies:
    """Trains and measures proxies of a recipe; one that was measured before is not trained again."""

    def __init__(self, recipe: Recipe, inputs: Mapping[str, Path], measured_by: Asked, folder: Path) -> None:
        """`recipe` is shortened; `inputs` are those of its stages, and the corpus that gives validation documents."""
        self._recipe, self._inputs, self._asked, self._folder = recipe, inputs, measured_by, folder
        self._identity: dict[str, Any] = {
            "recipe": recipe.model_dump(mode="json", include={"model", "stages"}),
            "inputs": {name: content_digest(list_files(path)) for name, path in sorted(inputs.items())},
            "code": {entry.stage: code_version(stage_module(entry.stage).__name__) for entry in recipe.stages},
        }

    def results(self, documents: pa.Table, seed: int, progress: Progress) -> list[Result]:
        """Results of the metric's items for a proxy trained on these documents."""
        identity = fingerprint({**self._identity, "seed": seed, "documents": documents["id"].to_pylist()})
        standing = Standing(self._folder / "results", environment())
        task = self._asked.task

        def ask() -> Sequence[Result]:
            import torch

            work = self._folder / "work" / identity
            model = self._trained(documents, seed, work, progress)
            subject = load_subject("proxy", candidate_in(model))
            torch.manual_seed(seed)
            results = task.evaluate(subject)
            remove(work)
            return results

        found = standing.results(identity, task, code_version(task.evaluate.__module__), ask)
        return [result for result in found if result.metric == self._asked.metric]

    def _trained(self, documents: pa.Table, seed: int, work: Path, progress: Progress) -> Path:
        """Train the stages one after another in `work`; return the folder of the last checkpoint."""
        remove(work)
        inputs = dict(self._inputs) | {"corpus": work / "corpus", "token_shards": work / "shards"}
        for name in ("corpus", "token_shards"):
            inputs[name].mkdir(parents=True)
        pq.write_table(documents, inputs["corpus"] / "train.parquet")
        (inputs["corpus"] / "validation.parquet").symlink_to(self._inputs["corpus"] / "validation.parquet")
        shards.run(inputs, shards.ShardsConfig(), inputs["token_shards"], local_context(work / "context"))
        if "instructions" in inputs:
            inputs["instructions"] = _of(inputs["instructions"], documents, work / "instructions")
        recipe = self._recipe.model_copy(update={"seed": seed})
        for entry in recipe.stages:
            module, out = stage_module(entry.stage), work / entry.called
            out.mkdir()
            needs = {name: inputs[name] for name in ("tokenizer", *module.NEEDS)}
            previous = {"previous": inputs["previous"]} if "previous" in inputs else {}
            context = _Told(progress, local_context(work / "of" / entry.called), self._folder / "cache")
            module.STAGE.run({**needs, **previous}, training_job(recipe, entry), out, context)
            inputs["previous"] = out
        return inputs["previous"]


class _Told(LocalContext):
    """A context whose progress goes to whoever waits."""

    def __init__(self, tell: Progress, plain: LocalContext, cache: Path) -> None:
        cache.mkdir(exist_ok=True)
        super().__init__(work=plain.work, beside=plain.beside, cache=cache)
        self._tell = tell

    def progress(self, done: int, total: int, text: str = "") -> None:
        self._tell(done, total, text)


def _of(instructions: Path, documents: pa.Table, out: Path) -> Path:
    """The instructions that these documents, and none beside them, gave."""
    rows = pq.read_table(instructions / "rows.parquet")
    known = set(documents["id"].to_pylist())
    kept = pa.array([known.issuperset(ids) for ids in rows["document_ids"].to_pylist()], pa.bool_())
    out.mkdir()
    pq.write_table(rows.filter(pc.fill_null(kept, False)), out / "rows.parquet")
    return out
