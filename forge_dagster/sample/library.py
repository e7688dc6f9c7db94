"""The documents of one unit: which form about which subject, what else it mentions, old versions and copies."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from forge_dagster.sample import html, markdown, pdf, plain
from forge_dagster.sample.blocks import Document
from forge_dagster.sample.canaries import Canaries
from forge_dagster.sample.compose import Composer
from forge_dagster.sample.draw import Cycle, Draw
from forge_dagster.sample.forms import forms
from forge_dagster.sample.voice import Statement
from forge_dagster.sample.world import Subject, Unit

OTHERS = 6
"""Subjects a document mentions besides its own, as far as the unit has so many."""
REVISION_EVERY, COPY_EVERY = 50, 100
"""One document in so many is an older version, which states other values, or a copy, of the one before."""
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


@dataclass(frozen=True)
class _Made:
    """A document as it was composed, for what is made of it."""

    folder: str
    name: str
    version: str
    format: str
    own: Subject
    document: Document
    told: tuple[Statement, ...]


def canaries_of(unit: Unit, documents: int) -> Canaries:
    """The canaries of a unit of so many documents."""
    return Canaries(unit, [number for number in range(documents) if not (_is_copy(number) or _is_revision(number))])


def _is_copy(number: int) -> bool:
    return number % COPY_EVERY == COPY_EVERY - 1


def _is_revision(number: int) -> bool:
    return number % REVISION_EVERY == REVISION_EVERY // 2


def write(unit: Unit, documents: int, company: str) -> Iterator[Written]:
    """Yield the documents of a unit."""
    composer, canaries = Composer(unit, company), canaries_of(unit, documents)
    draw = Draw(unit.seed, "mentions", unit.number)
    mentions = Cycle(unit.subjects, draw)
    originals = 0
    previous: _Made | None = None
    for number in range(documents):
        if previous and _is_copy(number):
            yield _written(unit, replace(previous, folder="archive", name=f"copy-of-{previous.name}"))
            continue
        if previous and _is_revision(number):
            yield _written(unit, _older(previous, unit, composer))
            continue
        kind, own, visit = _turn(unit, originals)
        choice = forms()[kind]
        form = choice[(visit + own.number) % len(choice)]
        document, statements = composer.compose(
            form, number, own, _others(mentions, own, min(OTHERS, len(unit.subjects) - 1))
        )
        name = f"{form.name}-{own.name.lower().replace(' ', '-')}-{number:04d}"
        version = "-v2" if _is_revision(number + 1) and number + 1 < documents else ""
        document = canaries.into(document, number)
        previous = _Made(kind, name, version, form.format, own, document, tuple(statements))
        originals += 1
        yield _written(unit, previous)


def _older(made: _Made, unit: Unit, composer: Composer) -> _Made:
    """The version before, in which every value of the document's own subject was another one."""
    changes = {fact.answer: fact.distractors[0] for fact in unit.facts[made.own]}
    told = tuple(
        statement
        for statement in made.told
        if statement.fact.subject != made.own
        and not {statement.fact.answer, statement.fact.subject.name} & set(changes)
    )
    return replace(made, version="-v1", document=composer.revise(made.document, changes), told=told)


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


def _written(unit: Unit, made: _Made) -> Written:
    path = f"unit-{unit.number:04d}/{made.folder}/{made.name}{made.version}.{made.format}"
    return Written(path, RENDERERS[made.format](made.document), made.told, made.document)
