"""The older version of a document: its numbers, places and systems were others then."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any

from forge_dagster.sample.blocks import Document
from forge_dagster.sample.draw import Draw
from forge_dagster.sample.values import organisation
from forge_dagster.sample.voice import Statement

CHANGES = frozenset({"pressure", "part number", "city", "port", "database", "hours", "minutes", "months"})
"""Types of values that changed; another name would change who is spoken of."""


def older(document: Document, told: Iterable[Statement], draw: Draw) -> tuple[Document, list[Statement]]:
    """The document with other values of these types, and the statements of it that are still true."""
    statements = list(told)
    was: dict[str, str] = {}
    for fact in {statement.fact.id: statement.fact for statement in statements}.values():
        if organisation().relations[fact.subject.kind][fact.relation] in CHANGES:
            was[fact.answer] = draw.pick(fact.distractors)
    blocks = tuple(
        replace(block, **{each.name: _otherwise(getattr(block, each.name), was) for each in fields(block)})
        for block in document.blocks
    )
    made = replace(document, blocks=blocks, unbroken=document.unbroken | set(was.values()))
    return made, [statement for statement in statements if statement.fact.answer not in was]


def _otherwise(value: Any, was: Mapping[str, str]) -> Any:
    if isinstance(value, tuple):
        return tuple(_otherwise(each, was) for each in value)
    if not isinstance(value, str) or not was:
        return value
    values = "|".join(re.escape(each) for each in sorted(was))
    return re.sub(rf"(?<!\w)(?:{values})(?!\w)", lambda found: was[found[0]], value)
