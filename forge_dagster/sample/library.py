"""The documents of one unit: which form about which subject, what else it mentions, old versions and copies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from forge_dagster.sample import html, markdown, pdf, plain
from forge_dagster.sample.blocks import Document
from forge_dagster.sample.compose import Composer
from forge_dagster.sample.draw import Cycle, Draw
from forge_dagster.sample.forms import forms
from forge_dagster.sample.voice import Statement
from forge_dagster.sample.world import Subject, Unit

OTHERS = 6
"""Subjects a document mentions besides its own, as far as the unit has so many."""
REVISION_EVERY, COPY_EVERY = 50, 100
"""One document in so many is an older version, or a copy, of the one before."""
RENDERERS: dict[str, Callable[[Document], bytes]] = {
    "md": markdown.render,
    "txt": plain.render,
    "html": html.render,
    "pdf": pdf.render,
}


@dataclass(frozen=True)
class Written:
    """A document as it comes to lie on disk; `path` is relative to the folder of documents."""

    path: str
    data: bytes
    told: tuple[Statement, ...]
    document: Document | None
    """What it was rendered from; none where it was written as it is."""


def write(unit: Unit, documents: int, company: str) -> Iterator[Written]:
    """Yield the documents of a unit."""
    composer = Composer(unit, company)
    draw = Draw(unit.seed, "mentions", unit.number)
    mentions = Cycle(unit.subjects, draw)
    originals = 0
    previous: tuple[str, str, Document, tuple[Statement, ...]] | None = None
    for number in range(documents):
        if previous and number % COPY_EVERY == COPY_EVERY - 1:
            name, format_, document, told = previous
            yield _written(unit, "archive", f"copy-of-{name}", format_, document, told)
            continue
        if previous and number % REVISION_EVERY == REVISION_EVERY // 2:
            name, format_, document, told = previous
            yield _written(unit, "archive", f"old-{name}", format_, composer.revise(document), told)
            continue
        kind, own, visit = _turn(unit, originals)
        choice = forms()[kind]
        form = choice[(visit + own.number) % len(choice)]
        document, statements = composer.compose(
            form, number, own, _others(mentions, own, min(OTHERS, len(unit.subjects) - 1))
        )
        name = f"{form.name}-{own.name.lower().replace(' ', '-')}-{number:04d}"
        previous = (name, form.format, document, tuple(statements))
        originals += 1
        yield _written(unit, kind, *previous)


def _turn(unit: Unit, place: int) -> tuple[str, Subject, int]:
    """Return whose turn it is at `place`: kinds in turn, within a kind its subjects in turn, and how often before."""
    subject_of_kind, kind = divmod(place, unit.kinds)
    visit, number = divmod(subject_of_kind, unit.subjects_per_kind)
    subject = unit.subjects[kind * unit.subjects_per_kind + number]
    return subject.kind, subject, visit


def _others(mentions: Cycle[Subject], own: Subject, count: int) -> list[Subject]:
    others: list[Subject] = []
    while len(others) < count:
        subject = mentions.next()
        if subject != own and subject not in others:
            others.append(subject)
    return others


def _written(
    unit: Unit, folder: str, name: str, format_: str, document: Document, told: tuple[Statement, ...]
) -> Written:
    path = f"unit-{unit.number:04d}/{folder}/{name}.{format_}"
    return Written(path, RENDERERS[format_](document), told, document)
