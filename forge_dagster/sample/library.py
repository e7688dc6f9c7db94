"""The documents of one unit: which form about which subject, what else it mentions, old versions and copies."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from forge_dagster.sample import html, markdown, pdf, plain
from forge_dagster.sample.blocks import Document
from forge_dagster.sample.compose import Composer
from forge_dagster.sample.draw import Cycle, Draw
from forge_dagster.sample.forms import forms
from forge_dagster.sample.older import older
from forge_dagster.sample.voice import Statement
from forge_dagster.sample.world import Subject, Unit

OTHERS = 6
"""Subjects a document mentions besides its own, as far as the unit has so many."""
REVISION_EVERY, COPY_EVERY = 25, 100
"""One document in so many is an older version, or a copy, of the one before."""
OLDER, NEWER = "-v1", "-v2"
"""What the names of two versions end in."""
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
    superseded_by: str
    """Path of its newer version; empty if it has none."""


def write(unit: Unit, documents: int, company: str) -> Iterator[Written]:
    """Yield the documents of a unit."""
    composer = Composer(unit, company)
    draw = Draw(unit.seed, "mentions", unit.number)
    mentions = Cycle(unit.subjects, draw)
    originals = 0
    previous: Written | None = None
    for number in range(documents):
        if previous and previous.document and number % COPY_EVERY == COPY_EVERY - 1:
            name = f"archive/copy-of-{previous.path.rpartition('/')[2]}"
            yield _written(unit, name, previous.document, previous.told)
            continue
        if previous and previous.document and _is_older(number):
            then, told = older(previous.document, previous.told, Draw(unit.seed, "older", unit.number, number))
            name = previous.path.partition("/")[2].replace(NEWER, OLDER)
            yield _written(unit, name, composer.revise(then), told, superseded_by=previous.path)
            continue
        kind, own, visit = _turn(unit, originals)
        choice = forms()[kind]
        form = choice[(visit + own.number) % len(choice)]
        document, statements = composer.compose(
            form, number, own, _others(mentions, own, min(OTHERS, len(unit.subjects) - 1))
        )
        version = NEWER if number + 1 < documents and _is_older(number + 1) else ""
        name = f"{kind}/{form.name}-{own.name.lower().replace(' ', '-')}-{number:04d}{version}.{form.format}"
        previous = _written(unit, name, document, statements)
        originals += 1
        yield previous


def _is_older(number: int) -> bool:
    return number % REVISION_EVERY == REVISION_EVERY // 2


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
    unit: Unit, name: str, document: Document, told: Sequence[Statement], *, superseded_by: str = ""
) -> Written:
    data = RENDERERS[name.rpartition(".")[2]](document)
    return Written(f"unit-{unit.number:04d}/{name}", data, tuple(told), document, superseded_by)
