"""Whether a scorecard follows from its evidence, and this from the tasks and the weights at hand."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from forge_dagster.errors import VerdictError
from forge_dagster.evaluation import evidence
from forge_dagster.evaluation.card import AGAIN, Asked, Scorecard, read_card
from forge_dagster.evaluation.choices import held_out_documents
from forge_dagster.evaluation.measure import Task
from forge_dagster.evaluation.score import Score, scored_digests
from forge_dagster.evaluation.scorecard import ScorecardConfig, asked, assembled, tasks_of
from forge_dagster.gates import Verdict
from forge_dagster.provenance.files import sha256_file
from forge_dagster.recipe import INCUMBENT, UNTRAINED

CLOSE = 1e-9  # what sums in another order, on another processor, may differ by


def audited(inputs: Mapping[str, Path], config: ScorecardConfig, work: Path) -> Scorecard:
    """The scorecard of `inputs`, made again from its evidence, verdicts included.

    Raises VerdictError if it is none, is of other tasks, other weights or another incumbent than those of `inputs`,
    if an item is missing or was never asked, or if a score or a verdict differs from what the evidence gives.
    """
    folder = inputs["scorecard"]
    stated = read_card(folder)
    tasks = {task.name: task for task in tasks_of(inputs, config, work)}
    wanted = {name: asked(task) for name, task in tasks.items()}
    _asks_what_is_to_be_asked(stated, wanted)
    serves = [INCUMBENT] if INCUMBENT in inputs else []
    expected = [UNTRAINED, *serves, *config.checkpoints]
    if (scored := list(stated.checkpoints)) != expected:
        raise VerdictError(f"the scorecard scores {scored}", rule=f"every checkpoint in order: {expected}", mend=AGAIN)
    _is_of_these_weights(stated, {config.checkpoints[-1]: inputs["checkpoint"], **{s: inputs[s] for s in serves}})
    digest = sha256_file(folder / evidence.FILE) if (folder / evidence.FILE).is_file() else "nothing"
    if stated.evidence != {evidence.FILE: digest}:
        raise _differs("the evidence", f"{evidence.FILE} has another digest than the scorecard says")
    found = evidence.read_evidence(folder / evidence.FILE)
    if list(found) != expected:
        raise _differs("the evidence", f"it is of {list(found)}")
    for checkpoint, results in found.items():
        _covers(checkpoint, results, tasks)
    again = assembled(
        found,
        wanted,
        config,
        scored=stated.scored,
        digest=digest,
        machine=stated.environment,
    )
    _same_scores(stated, again)
    _same_verdicts(stated.gates, again.gates)
    _is_held_out(inputs)
    return again


def _differs(what: str, how: str) -> VerdictError:
    return VerdictError(
        f"{what} of the scorecard is not what it should be: {how}",
        rule="a release stands on scores that follow from the results of their items",
        mend=AGAIN,
    )


def _asks_what_is_to_be_asked(stated: Scorecard, wanted: Mapping[str, Asked]) -> None:
    if missing := sorted(set(wanted) - set(stated.tasks)):
        raise _differs("a task", f"{', '.join(missing)} was not asked")
    if more := sorted(set(stated.tasks) - set(wanted)):
        raise _differs("a task", f"{', '.join(more)} is none of those to be asked")
    if stale := sorted(name for name, task in wanted.items() if stated.tasks[name] != task):
        raise _differs("a task", f"stale: {', '.join(stale)} was asked of other items or in another way")


def _is_of_these_weights(stated: Scorecard, folders: Mapping[str, Path]) -> None:
    for name, folder in folders.items():
        found, said = scored_digests(folder), stated.scored.get(name, {})
        if said != found:
            differ = sorted(file for file in found if said.get(file) != found[file])
            raise VerdictError(
                f"the scorecard is of another {name} checkpoint: {', '.join(differ)} differ",
                rule="the scores of a release are scores of its own weights",
                mend="make the scorecard again, then the release",
            )


def _covers(checkpoint: str, results: Mapping[str, Sequence[evidence.Result]], tasks: Mapping[str, Task]) -> None:
    """Every metric has results of items that were asked, and every item has one."""
    for name, task in tasks.items():
        seen = set()
        for metric in task.metrics:
            for result in results.get(f"{name}.{metric}", ()):
                if task.items.get(result.item) != result.digest:
                    raise _differs("the evidence", f"{checkpoint}: item {result.item} of {name} is none that was asked")
                seen.add(result.item)
        if left_out := sorted(set(task.items) - seen):
            raise _differs("the evidence", f"{checkpoint}: {len(left_out)} items of {name} have no result")


def _same_scores(stated: Scorecard, again: Scorecard) -> None:
    for checkpoint, scores in again.checkpoints.items():
        said = stated.checkpoints[checkpoint]
        differ = sorted(name for name in {*said, *scores} if not _same(said.get(name), scores.get(name)))
        if differ:
            raise _differs("a score", f"{checkpoint}: {', '.join(differ)} is not what its items give")


def _same(one: Score | None, other: Score | None) -> bool:
    if one is None or other is None or (one.n, one.settings) != (other.n, other.settings):
        return False
    pairs = ((one.value, other.value), (one.stderr, other.stderr), (one.noise, other.noise))
    return all(a == b or (None not in (a, b) and math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE)) for a, b in pairs)  # type: ignore[arg-type]


def _same_verdicts(stated: Sequence[Verdict], again: Sequence[Verdict]) -> None:
    said, found = ([(each.metric, each.rule, each.outcome) for each in verdicts] for verdicts in (stated, again))
    if said != found:
        differ = sorted({metric for metric, _, _ in {*said} ^ {*found}})
        raise _differs("a verdict", f"{', '.join(differ) or 'their order'} is judged otherwise by the evidence")


def _is_held_out(inputs: Mapping[str, Path]) -> None:
    """No document that a held-out item was made of is in the training text."""
    documents = held_out_documents(inputs["domain_benchmark"])
    trained = pq.read_table(inputs["corpus"] / "train.parquet", columns=["id"])["id"].to_pylist()
    if both := sorted(documents & set(trained)):
        raise VerdictError(
            f"{len(both)} documents of held-out benchmark items are in the training text, e.g. {both[0][:12]}",
            rule="what a model is judged on was not trained on",
            mend="make the benchmark and the corpus again",
        )
