"""What a study found, as it lies in its artifact: study.json, trials.parquet and the proposed recipe."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from forge_dagster.recipe import Recipe, load_recipe
from forge_dagster.stage import FrozenModel
from forge_dagster.study import Point, Study

FILE, TRIALS = "study.json", "trials.parquet"
State = Literal["complete", "pruned", "diverged"]


class Trial(FrozenModel):
    """One trial: what was tried, what it was worth after each piece, and what it cost."""

    number: int
    state: State
    point: Point
    value: float | None
    """The metric at its end; none unless it is complete."""
    values: tuple[float, ...]
    """The metric after each piece but the last."""
    tokens: int
    operations: int
    reason: str = ""
    """Why it diverged."""


class Found(FrozenModel):
    """The whole study."""

    study: Study
    recipe: Recipe
    """As it was."""
    own: int | None
    """Number of the trial that tried what the recipe says itself, if that lies in the space."""
    best: int
    carried: Mapping[str, float]
    """What each learning rate is multiplied by at the proxy's width."""
    most_operations: int
    """What one trial may cost."""
    importance: Mapping[str, float]
    trials: tuple[Trial, ...]

    @property
    def proposal(self) -> Point:
        """The settings of the best trial."""
        return self.trials[self.best].point

    @property
    def operations(self) -> int:
        return sum(trial.operations for trial in self.trials)

    def count(self, state: State) -> int:
        """Trials that ended so."""
        return sum(trial.state == state for trial in self.trials)

    def best_so_far(self) -> list[tuple[int, float]]:
        """Operations spent up to each complete trial, in the order of their numbers, and the lowest value by then."""
        spent, lowest, curve = 0, float("inf"), list[tuple[int, float]]()
        for trial in self.trials:
            spent += trial.operations
            if trial.value is not None:
                lowest = min(lowest, trial.value)
                curve.append((spent, lowest))
        return curve


def best_of(trials: Sequence[Trial]) -> int | None:
    """Number of the complete trial with the lowest value, the first of equals; None if there is none."""
    complete = [(trial.value, trial.number) for trial in trials if trial.value is not None]
    return min(complete)[1] if complete else None


def write(found: Found, recipe: Recipe, out: Path) -> None:
    """Write all three files; `recipe` is the proposed one."""
    (out / FILE).write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
    pq.write_table(_table(found), out / TRIALS)
    text = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    (out / f"{recipe.name}.yaml").write_text(text, encoding="utf-8")


def read(content: Path) -> tuple[Found, Recipe]:
    """The study of a folder and the recipe it proposes. Raises RecipeError if that is none."""
    found = Found.model_validate_json((content / FILE).read_bytes())
    return found, load_recipe(content / f"{found.study.recipe}.yaml")


def _table(found: Found) -> pa.Table:
    """One row a trial, one column a setting."""
    rows: list[dict[str, Any]] = [
        {
            **trial.model_dump(exclude={"point"}),
            **{f"setting/{key}": value for key, value in trial.point.items()},
        }
        for trial in found.trials
    ]
    fixed = {
        "number": pa.int64(), "state": pa.string(), "value": pa.float64(), "values": pa.list_(pa.float64()),
        "tokens": pa.int64(), "operations": pa.int64(), "reason": pa.string(),
    }  # fmt: skip
    settings = {name: pa.array([row[name] for row in rows]).type for name in rows[0] if name.startswith("setting/")}
    return pa.Table.from_pylist(rows, pa.schema({**fixed, **settings}))
