"""What people decided on benchmark items: `evals/review.yaml`, kept in git, read by the benchmark."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import yaml
from pydantic import Field, ValidationError, model_validator

from forge_dagster.errors import DataError
from forge_dagster.evaluation.item import Item
from forge_dagster.provenance.files import write_atomically
from forge_dagster.source import explain, read_yaml
from forge_dagster.stage import FrozenModel

FILE = "review.yaml"
Text = Annotated[str, Field(min_length=1)]
EDITED = ("query", "choices", "gold")
HEAD = "# Decisions on benchmark items, by id. Written by `forge benchmark review`; every line may be edited by hand.\n"


class Decision(FrozenModel):
    """One item approved, struck for a reason, or edited for a reason."""

    decision: Literal["approve", "strike", "edit"]
    reason: str = ""
    query: Text | None = None
    choices: Annotated[list[Text], Field(min_length=2)] | None = None
    gold: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def says_what_and_why(self) -> Self:
        edits = [name for name in EDITED if getattr(self, name) is not None]
        if self.decision != "approve" and not self.reason.strip():
            raise ValueError(f"to {self.decision} an item needs a reason")
        if (self.decision == "edit") != bool(edits):
            raise ValueError(f"decision {self.decision!r} goes with {' or '.join(EDITED) if not edits else 'no edits'}")
        return self

    def on(self, item: Item) -> Item:
        """The item as edited. Raises DataError if it is no sound item then."""
        changes = self.model_dump(include=set(EDITED), exclude_none=True)
        edited = {**item, **changes, "edited": self.reason}
        if len(set(edited["choices"])) != len(item["choices"]) or edited["gold"] >= len(edited["choices"]):
            raise DataError(
                f"{item['id']}: choices {edited['choices']}, gold {edited['gold']} after the edit in {FILE}",
                rule=f"{len(item['choices'])} different choices, and gold is the place of one of them",
                mend="correct the edit",
            )
        return edited


class Review(FrozenModel):
    """Decisions by item id."""

    items: Mapping[str, Decision] = {}


class Reviewed(NamedTuple):
    """What is left of the items, what was struck with its reason, and decisions on items that are not there."""

    items: dict[str, list[Item]]
    struck: list[Item]
    unknown: list[str]


def reviewed(items: Mapping[str, Sequence[Item]], review: Review) -> Reviewed:
    """Apply every decision."""
    kept: dict[str, list[Item]] = {}
    struck = []
    known = set()
    for task, of_task in items.items():
        kept[task] = []
        for item in of_task:
            decision = review.items.get(item["id"])
            if decision is None:
                kept[task].append(item)
                continue
            known.add(item["id"])
            if decision.decision == "strike":
                struck.append({**item, "task": task, "reason": decision.reason})
            else:
                kept[task].append(decision.on(item) if decision.decision == "edit" else {**item, "approved": True})
    return Reviewed(kept, struck, sorted(set(review.items) - known))


def load_review(folder: Path) -> Review:
    """Read the decisions of a folder of benchmarks; none if there is no file. Raises RecipeError on a broken rule."""
    path = folder / FILE
    if not path.exists():
        return Review()
    try:
        return Review.model_validate(read_yaml(path))
    except ValidationError as error:
        raise explain(path, error) from error


def write_review(folder: Path, review: Review) -> Path:
    """Write the decisions, in order of their ids."""
    body: dict[str, Any] = {
        "items": {
            name: decision.model_dump(exclude_none=True, exclude_defaults=True)
            for name, decision in sorted(review.items.items())
        }
    }
    path = folder / FILE
    write_atomically(path, (HEAD + yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=110)).encode())
    return path
