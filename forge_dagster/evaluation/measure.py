"""What a measure is: it says beforehand which tasks it would ask, so that answers that stand need not be asked for.

A measure is a function (inputs, config, work) -> tasks, listed in `scorecard.MEASURES`. A task knows what it asks by
digest, and how; `evaluate` gives the results of its items for one model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from forge_dagster.errors import DataError
from forge_dagster.evaluation.own_task import OwnTask
from forge_dagster.evaluation.score import Metric, Result
from forge_dagster.policy import Policy
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.stage import FrozenModel

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


class Measuring(FrozenModel):
    """What every measure may read of the configuration."""

    seed: int
    policy: Policy
    own_tasks: tuple[OwnTask, ...]
    batch_size: int = Field(ge=1)
    most_answers: int = Field(ge=1)
    validation_bytes: int = Field(ge=1, description="UTF-8 bytes of held-out text that bits per byte are taken of")


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A model that is measured, with its tokenizer and the folder this lies in."""

    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Task:
    """Items that are asked together. Its metrics appear in the scorecard as `name.metric`.

    `items` holds the digest of each item by its id, in the order in which they are asked; results are of these alone.
    `settings` is plain data: what else decides the results, whatever machine computes them. A task is evaluated on
    its own, so that how its items fall into batches, and with it the last bits of its results, depends on nothing
    else. `parts` are tasks before it whose results are its own as well: it asks nothing of a model.
    """

    name: str
    items: Mapping[str, str]
    settings: Mapping[str, Any]
    metrics: Mapping[str, Metric]
    evaluate: Callable[[Subject], Sequence[Result]]
    parts: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest of all that is asked, in its order."""
        return fingerprint([list(item) for item in self.items.items()])


def item_digests(name: str, items: Sequence[Mapping[str, Any]], ids: Sequence[str]) -> dict[str, str]:
    """Digest of each item by its id. Raises DataError if there is none or two have one id."""
    if not items:
        raise DataError(
            f"task {name} has no items",
            rule="a score is over at least one item",
            mend="leave the task out, or add documents that give items",
        )
    found = {given: fingerprint(dict(item)) for given, item in zip(ids, items, strict=True)}
    if len(found) < len(items):
        raise DataError(f"two items of task {name} have one id", rule="each item counts once", mend="rename one")
    return found


def results_of(digests: Mapping[str, str], found: Sequence[Mapping[str, float]]) -> list[Result]:
    """The values of each metric of each item, in the order of `digests`; every item stands for itself."""
    return [
        Result(metric, item, digest, item, value)
        for (item, digest), values in zip(digests.items(), found, strict=True)
        for metric, value in values.items()
    ]


def overall(name: str, tasks: Sequence[Task]) -> Task:
    """The items of all these tasks as one, each as heavy as any other; they have the same metrics."""

    def ask(subject: Subject) -> list[Result]:
        return pooled(parts, {task.name: task.evaluate(subject) for task in tasks})

    parts = tuple(task.name for task in tasks)
    return Task(
        name=name,
        items={f"{task.name}/{item}": digest for task in tasks for item, digest in task.items.items()},
        settings={"parts": {task.name: dict(task.settings) for task in tasks}},
        metrics=tasks[0].metrics,
        evaluate=ask,
        parts=parts,
    )


def pooled(parts: Sequence[str], found: Mapping[str, Sequence[Result]]) -> list[Result]:
    """Results of the parts of a task as its own; items of one cluster stay together, whichever part asks them."""
    return [result._replace(item=f"{name}/{result.item}") for name in parts for result in found[name]]


Measure = Callable[[Mapping[str, Path], Measuring, Path], Sequence[Task]]
