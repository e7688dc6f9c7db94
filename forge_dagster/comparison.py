"""A comparison: ways to bring an organisation's knowledge into answers, asked the same items; `comparisons/*.yaml`."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from forge_dagster.source import Name, load_named
from forge_dagster.stage import FrozenModel


class Arm(FrozenModel):
    """One way: a checkpoint of a recipe, with or without passages of the corpus in its prompt."""

    name: str = Field(min_length=1, max_length=60)
    recipe: Name
    stage: Name = Field(description="the stage of the recipe whose checkpoint answers")
    retrieval: bool = Field(description="whether the best passages by BM25 stand before the question")


class Retrieval(FrozenModel):
    """How passages are cut and ranked (Okapi BM25, Robertson and Zaragoza 2009, in Lucene's form)."""

    passage_words: int = Field(ge=5, description="longest passage; as many of them are shown as fit into the budget")
    candidates: int = Field(ge=1, description="best passages that are tried, in order")
    k1: float = Field(gt=0)
    b: float = Field(ge=0, le=1)


class Comparison(FrozenModel):
    """Several ways under one budget of tokens for an answer."""

    name: Name
    seed: int = Field(ge=0, lt=2**31)
    inference_tokens: int = Field(ge=32, description="most tokens of one answer, the prompt with its passages included")
    retrieval: Retrieval
    arms: tuple[Arm, ...] = Field(min_length=2)

    @model_validator(mode="after")
    def arms_differ(self) -> Self:
        names = [arm.name for arm in self.arms]
        ways = [(arm.recipe, arm.stage, arm.retrieval) for arm in self.arms]
        for values in (names, ways):
            if len(set(values)) < len(values):
                raise ValueError(f"arms = {values}: two of them are the same; leave one out or give it another name")
        return self


def load_comparisons(folder: Path) -> dict[str, Comparison]:
    """Load every `*.yaml` of a folder by name; none if there is no folder. Raises RecipeError on a broken rule."""
    return {path.stem: load_named(path, Comparison.model_validate) for path in sorted(folder.glob("*.yaml"))}
