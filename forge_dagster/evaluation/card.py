"""The scorecard as a type: every score with its uncertainty, what was asked and how, of which weights, and verdicts."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from forge_dagster.errors import VerdictError
from forge_dagster.evaluation.score import Metric, Score
from forge_dagster.gates import Verdict
from forge_dagster.stage import FrozenModel

FILE = "scorecard.json"
AGAIN = "make the scorecard again"


class Asked(FrozenModel):
    """One task as it was asked: digest of its items, what else decides results, and its metrics.

    `settings_digest` is over all of it; a score names it.
    """

    digest: str
    items: int
    settings: Mapping[str, Any]
    settings_digest: str
    metrics: Mapping[str, Metric]


class Scorecard(FrozenModel):
    """Scores of a recipe's checkpoints, in order: untrained, the incumbent if one serves, then every checkpoint.

    `scored` holds the digests of each checkpoint's files, `evidence` those of the files that scores follow from.
    """

    version: Literal[2] = 2
    checkpoints: Mapping[str, Mapping[str, Score]] = Field(min_length=2)
    scored: Mapping[str, Mapping[str, str]]
    tasks: Mapping[str, Asked] = Field(min_length=1)
    evidence: Mapping[str, str]
    environment: Mapping[str, Any]
    gates: tuple[Verdict, ...]
    passed: bool

    @property
    def metrics(self) -> dict[str, Metric]:
        """Every metric by `task.metric`."""
        return metrics_of(self.tasks)

    def to_json(self) -> str:
        """As it is stored; checkpoints stay in order."""
        return self.model_dump_json(indent=1) + "\n"


def metrics_of(tasks: Mapping[str, Asked]) -> dict[str, Metric]:
    """Every metric of these tasks by `task.metric`."""
    return {f"{task}.{name}": how for task, asked in tasks.items() for name, how in asked.metrics.items()}


def read_card(folder: Path) -> Scorecard:
    """The scorecard of a folder. Raises VerdictError if it is missing or not one."""
    path = folder / FILE
    try:
        return Scorecard.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise VerdictError(
            f"{path} is no scorecard: {error}", rule="no release without a scorecard", mend=AGAIN
        ) from error
