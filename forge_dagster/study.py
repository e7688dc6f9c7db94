"""A study: which settings of a recipe are tried, on what proxy and for how much; `studies/*.yaml`."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, StrictBool, StrictInt, StrictStr, model_validator

from forge_dagster.source import Name, load_named
from forge_dagster.stage import FrozenModel

MOST_TRIALS = 200
Finite = Annotated[float, Field(allow_inf_nan=False)]
Choice = StrictBool | StrictInt | Finite | StrictStr
Point = dict[str, Any]
"""A value for each setting of a space, in the recipe's own terms."""


class Values(FrozenModel):
    """What a setting may be: a number from `low` to `high`, or one of `choices`."""

    low: Finite | None = None
    high: Finite | None = None
    log: bool = Field(default=False, description="whether ratios count, not differences: for learning rates")
    choices: tuple[Choice, ...] = Field(default=(), max_length=32)

    @model_validator(mode="after")
    def is_a_range_or_a_list(self) -> Self:
        if self.choices:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("choices stand alone; leave out low, high and log")
            if len(set(self.choices)) < max(len(self.choices), 2):
                raise ValueError(f"choices = {list(self.choices)}: at least two, all different")
            if len({type(choice) for choice in self.choices}) > 1:
                raise ValueError(f"choices = {list(self.choices)}: all are of one kind, e.g. whole numbers")
            return self
        if self.low is None or self.high is None:
            raise ValueError("a setting has low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"low = {self.low} is not below high = {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low = {self.low}; a logarithmic range begins above 0")
        return self

    def holds(self, value: Any) -> bool:
        """Whether a value is one of these."""
        if self.choices:
            return value in self.choices
        assert self.low is not None, "it is a range"
        assert self.high is not None, "it is a range"
        return self.low <= value <= self.high

    @property
    def ends(self) -> tuple[Any, ...]:
        """The ends of the range, low first, or every choice."""
        return self.choices or (self.low, self.high)


class Proxy(FrozenModel):
    """What is trained in place of the recipe's first stage."""

    tokens: int = Field(ge=8, description="tokens of one trial")
    width: int = Field(ge=8, description="hidden_size of its model; learning rates are carried from it to the recipe's")


class Study(FrozenModel):
    """One search; nothing of it has a default, for all of it decides what is found."""

    name: Name
    recipe: Name
    seed: int = Field(ge=0, lt=2**31, description="of the choices; every trial trains with the recipe's seed")
    metric: str = Field(description="metric of the first stage that is to be low, e.g. validation_bits_per_byte")
    space: dict[str, Values] = Field(min_length=1, max_length=16, description="STAGE.SETTING and what it may be")
    trials: int = Field(ge=1, le=MOST_TRIALS, description="most trials")
    operations: int | None = Field(ge=1, description="most training operations of all trials; null: trials alone count")
    proxy: Proxy
    batch: int = Field(ge=1, le=32, description="trials chosen at a time, which may run side by side")
    pieces: int = Field(ge=1, le=20, description="equal parts of a trial; after each but the last it may be ended")
    sampler: Literal["tpe", "gp", "random"]
    pruner: Literal["median", "hyperband", "none"] = Field(description="who ends trials before their time")


def load_study(path: Path) -> Study:
    """Load one study file. Raises RecipeError on a broken rule."""
    return load_named(path, Study.model_validate)


def load_studies(folder: Path) -> dict[str, Study]:
    """Load every `*.yaml` of a folder by name; none if there is no folder. Raises RecipeError on a broken rule."""
    return {path.stem: load_study(path) for path in sorted(folder.glob("*.yaml"))}
