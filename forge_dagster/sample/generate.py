"""`forge sample`: writes the organisation's documents and facts.jsonl, unit by unit, in constant memory."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from forge_dagster.errors import UserError
from forge_dagster.sample.canaries import declaration
from forge_dagster.sample.dirt.company import Dirt, line, write_dirty
from forge_dagster.sample.draw import Draw
from forge_dagster.sample.library import Written, canaries_of, write
from forge_dagster.sample.values import MOST_SUBJECTS, organisation
from forge_dagster.sample.voice import Statement
from forge_dagster.sample.wordings import fill, kinds
from forge_dagster.sample.world import FEWEST_SUBJECTS, Fact, Unit
from forge_dagster.stage import FrozenModel

FEWEST_DOCUMENTS, MOST_DOCUMENTS = 20, 1_000_000
UNIT_DOCUMENTS = 300
"""Documents of a unit at least, where there are more than that."""
DOCUMENTS_PER_SUBJECT, DOCUMENTS_PER_KIND = 25, 20
"""A smaller organisation knows fewer subjects and kinds, so that each fact is still told several times."""
MOST_DIRT = 0.6
"""Share of planted documents: beyond it there are too few good ones to tell every fact."""
COMPANIES = ("Northmere Works", "Ashgrove Machines", "Lindqvist & Daughters", "Calder Valley Industries")


class SampleReport(FrozenModel):
    """What was written."""

    documents: int
    facts: int
    bytes: int
    """Of the documents, facts.jsonl not counted."""
    formats: dict[str, int]


def generate(
    documents: int, seed: int, out: Path, progress: Callable[[int, int], None] | None = None, *, dirt: float = 0.0
) -> SampleReport:
    """Write out/documents/**, out/facts.jsonl and out/canaries.yaml; equal arguments give equal bytes.

    With `dirt`, the share of planted documents, out/labels.jsonl says what is true of every document (path, kind,
    spans of values with their offsets in the file's text, duplicate_of, superseded_by, language, boilerplate, item),
    and out/benchmark.jsonl has the items that some documents hold.

    facts.jsonl has one object a line: id, subject, relation, question (a wording no document asks), answer,
    distractors (other subjects' answers to the same), seen (a prefix that a document continues with the answer),
    unseen (one whose wording no document uses), documents (paths under out/documents that state the fact).
    canaries.yaml names sentences of the first unit that are planted to measure memorisation.
    Raises UserError if documents, seed or dirt are out of range or `out` is not an empty or new folder.
    """
    _check(documents, seed, dirt, out)
    folder = out / "documents"
    folder.mkdir(parents=True)
    formats: Counter[str] = Counter()
    facts = size = 0
    with ExitStack() as files:
        lines = files.enter_context(_lines(out / "facts.jsonl"))
        labels = _Labels(out, files) if dirt else None
        for unit, count in units(documents, seed):
            told: dict[str, list[tuple[str, Statement]]] = {}
            clean = count - (round(dirt * count) if dirt else 0)
            if unit.number == 0:
                (out / "canaries.yaml").write_text(declaration(canaries_of(unit, clean).declared), encoding="utf-8")
            company = Draw(seed, "company").pick(COMPANIES)
            for written in (
                labels.written(unit, count, round(dirt * count), company) if labels else write(unit, count, company)
            ):
                path = folder / written.path
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(written.data)
                size += len(written.data)
                formats[path.suffix[1:]] += 1
                for statement in written.told:
                    told.setdefault(statement.fact.id, []).append((written.path, statement))
                if progress:
                    progress(formats.total(), documents)
            for fact in (fact for group in unit.facts.values() for fact in group):
                lines.write(json.dumps(_record(seed, fact, told[fact.id]), ensure_ascii=False) + "\n")
                facts += 1
    return SampleReport(documents=documents, facts=facts, bytes=size, formats=dict(sorted(formats.items())))


def _lines(path: Path) -> TextIO:
    return path.open("w", encoding="utf-8", newline="\n")


class _Labels:
    """labels.jsonl and benchmark.jsonl, written while the documents are."""

    def __init__(self, out: Path, files: ExitStack) -> None:
        self._labels = files.enter_context(_lines(out / "labels.jsonl"))
        self._items = files.enter_context(_lines(out / "benchmark.jsonl"))

    def written(self, unit: Unit, documents: int, dirty: int, company: str) -> Iterator[Written]:
        """The documents of a unit, their labels noted."""
        planted = Dirt(unit)
        self._items.writelines(json.dumps(item) + "\n" for item in planted.items)
        for document, label in write_dirty(unit, documents, dirty, company, planted):
            self._labels.write(line(label))
            yield document


def units(documents: int, seed: int) -> Iterator[tuple[Unit, int]]:
    """Yield the units of an organisation of that many documents, each with its share of them."""
    number_of_units = max(1, documents // UNIT_DOCUMENTS)
    share, rest = divmod(documents, number_of_units)
    for number in range(number_of_units):
        count = share + (number < rest)
        kinds_known = min(max(count // DOCUMENTS_PER_KIND, 1), len(organisation().relations))
        subjects = min(max(count // DOCUMENTS_PER_SUBJECT, FEWEST_SUBJECTS), MOST_SUBJECTS)
        yield Unit(seed, number, kinds_known, subjects), count


def _record(seed: int, fact: Fact, told: list[tuple[str, Statement]]) -> dict[str, Any]:
    """Return the line of a fact in facts.jsonl."""
    draw = Draw(seed, "prompts", fact.id)
    relation = kinds()[fact.subject.kind].relations[fact.relation]
    seen = sorted({statement.prefix for _, statement in told if statement.prefix})
    return {
        "id": fact.id,
        "subject": fact.subject.name,
        "relation": f"{fact.subject.kind}.{fact.relation}",
        "question": fill(relation.ask, fact.subject.kind, fact.subject.name),
        "answer": fact.answer,
        "distractors": list(fact.distractors),
        "seen": draw.pick(seen),
        "unseen": fill(draw.pick(relation.unseen), fact.subject.kind, fact.subject.name),
        "documents": sorted({path for path, _ in told}),
    }


def _check(documents: int, seed: int, dirt: float, out: Path) -> None:
    if not FEWEST_DOCUMENTS <= documents <= MOST_DOCUMENTS:
        raise UserError(
            f"documents = {documents}",
            rule=f"{FEWEST_DOCUMENTS} to {MOST_DOCUMENTS:,}: fewer cannot tell every fact several times",
            mend="choose a number in that range",
        )
    if not 0 <= seed < 2**31:
        raise UserError(f"seed = {seed}", rule="0 to 2,147,483,647", mend="choose a seed in that range")
    if not 0 <= dirt <= MOST_DIRT:
        raise UserError(
            f"dirt = {dirt}", rule=f"0 to {MOST_DIRT}: the share of planted documents", mend="choose a share"
        )
    if out.is_symlink() or out.exists():
        if not out.is_dir():
            raise UserError(f"{out} is not a folder", rule="the output is a folder", mend="name another --out")
        if any(out.iterdir()):
            raise UserError(f"{out} is not empty", rule="a sample begins in an empty folder", mend="name another --out")
