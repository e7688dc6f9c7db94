"""Items from a facts file: each fact in a wording the documents use, and in one they never use."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, NamedTuple, Self

from pydantic import Field, ValidationError, model_validator

from forge_dagster.errors import DataError
from forge_dagster.evaluation.item import Item, ItemTask, shuffled
from forge_dagster.stage import FrozenModel

TASKS = (
    ItemTask(
        name="facts_seen",
        role="knowledge",
        choices=4,
        description="Facts of the training documents, asked in a wording the documents use; 4 choices of one type.",
    ),
    ItemTask(
        name="facts_unseen",
        role="knowledge",
        choices=4,
        description="The same facts, asked in a wording the documents never use.",
    ),
    ItemTask(
        name="facts_untaught",
        role="generalisation",
        choices=4,
        description="Facts that held-out documents alone state: nothing but chance is expected.",
    ),
)
Text = Annotated[str, Field(min_length=1)]


class Stated(NamedTuple):
    """A document that states facts, and the side that its text, or that of its duplicate, is on."""

    id: str
    side: str


class Fact(FrozenModel):
    """One line of facts.jsonl; `seen` and `unseen` are prompts that end right before the answer."""

    id: Text
    subject: Text
    relation: Text
    question: Text
    answer: Text
    distractors: Annotated[list[Text], Field(min_length=3, max_length=3)]
    seen: Text
    unseen: Text
    documents: Annotated[list[Text], Field(min_length=1)]

    @model_validator(mode="after")
    def choices_differ(self) -> Self:
        if len({" ".join(choice.split()) for choice in (self.answer, *self.distractors)}) < 4:
            raise ValueError(
                f"answer {self.answer!r} and distractors {self.distractors} are not four different choices"
            )
        return self


def read_facts(path: Path) -> Iterator[Fact]:
    """Every fact of a file. Raises DataError naming file and line."""
    seen: set[str] = set()
    with path.open("rb") as lines:  # bytes: pydantic names a line that is not UTF-8 like any other broken one
        for number, line in enumerate(lines, start=1):
            try:
                fact = Fact.model_validate_json(line)
            except ValidationError as error:
                first = error.errors()[0]
                where = ".".join(str(part) for part in first["loc"])
                raise DataError(
                    f"{path}:{number}: {where}: {first['msg']}", rule="one fact a line", mend="correct the line"
                ) from error
            if fact.id in seen:
                raise DataError(
                    f"{path}:{number}: id {fact.id!r} is there already", rule="ids are unique", mend="rename one"
                )
            seen.add(fact.id)
            yield fact


def fact_items(path: Path, stated: Mapping[str, Stated]) -> tuple[dict[str, list[Item]], int]:
    """Items by task, and how many facts were left out; `stated`: a document's path -> what became of it.

    A fact that training documents state is asked in their wording and in another; one that held-out documents alone
    state is asked apart: no model can know it. A fact is left out when no clean document states it. Raises DataError
    if that leaves none.
    """
    items: dict[str, list[Item]] = {task.name: [] for task in TASKS}
    left_out = 0
    for fact in read_facts(path):
        found = [stated[name] for name in fact.documents if name in stated]
        if not found:
            left_out += 1
            continue
        documents = sorted({each.id for each in found})
        taught = any(each.side == "train" for each in found)
        asked = (
            (("facts_seen", fact.seen), ("facts_unseen", fact.unseen)) if taught else (("facts_untaught", fact.seen),)
        )
        for task, query in asked:
            choices = shuffled([fact.answer, *fact.distractors], f"{task}/{fact.id}")
            items[task].append(
                {
                    "id": f"{task}/{fact.id}",
                    "query": query.rstrip(),
                    "choices": choices,
                    "gold": choices.index(fact.answer),
                    "document_ids": documents,
                    "fact": fact.id,
                }
            )
    if not any(items.values()):
        raise DataError(
            f"{path}: none of its {left_out} facts names a document of the source",
            rule="`documents` holds paths relative to the source's folder",
            mend="correct the paths, or leave the facts file out of the source",
        )
    return items, left_out
