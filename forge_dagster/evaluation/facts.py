"""Knowledge items from a facts file: each fact in a wording the documents use, and in one they never use."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, ValidationError, model_validator

from forge_dagster.errors import DataError
from forge_dagster.stage import FrozenModel

Text = Annotated[str, Field(min_length=1)]


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


def shuffled(choices: list[str], key: str) -> list[str]:
    """Choices in an order that only the key decides."""
    return sorted(choices, key=lambda choice: hashlib.sha256(f"{key}:{choice}".encode()).digest())


def fact_items(path: Path, ids: Mapping[str, str]) -> tuple[dict[str, list[dict[str, Any]]], int]:
    """Items of `facts_seen` and `facts_unseen`, and how many facts were left out; `ids`: a document's path -> its id.

    A fact is left out when no clean document states it: nobody can learn it. Raises DataError if that leaves none.
    """
    items: dict[str, list[dict[str, Any]]] = {"facts_seen": [], "facts_unseen": []}
    left_out = 0
    for fact in read_facts(path):
        documents = sorted({ids[name] for name in fact.documents if name in ids})
        if not documents:
            left_out += 1
            continue
        for task, query in (("facts_seen", fact.seen), ("facts_unseen", fact.unseen)):
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
    if not items["facts_seen"]:
        raise DataError(
            f"{path}: none of its {left_out} facts names a document of the source",
            rule="`documents` holds paths relative to the source's folder",
            mend="correct the paths, or leave the facts file out of the source",
        )
    return items, left_out
