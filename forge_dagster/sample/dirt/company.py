"""A unit's documents with dirt among them: the clean ones in their order, after some of them dirty ones."""

import json
from collections import deque
from collections.abc import Iterator
from typing import Any

from forge_dagster.sample.blocks import Document, Paragraph
from forge_dagster.sample.dirt.config import Config
from forge_dagster.sample.dirt.furniture import TEXT, furnished
from forge_dagster.sample.dirt.marks import DECOY, unmarked
from forge_dagster.sample.dirt.page import Page, Truth
from forge_dagster.sample.dirt.people import People
from forge_dagster.sample.dirt.scrap import Scrap
from forge_dagster.sample.dirt.twins import SERIES_NAMES, TWIN, VERSION_NAMES, Twins, resemblance
from forge_dagster.sample.draw import Cycle, Draw
from forge_dagster.sample.library import RENDERERS, Written, write
from forge_dagster.sample.world import Unit

KINDS = (
    *("personal",) * 9, *("secret",) * 6, *("near-duplicate",) * 5, *("versions",) * 2, *("foreign",) * 4,
    *("junk",) * 3, *("contaminated",) * 2, "technical", "listing", "alike", "series",
)  # fmt: skip
"""How often each kind comes, of as many."""
REMEMBERED = 8  # clean documents that a twin may be made of
ITEMS = 6  # benchmark items of a unit


class Dirt:
    """The dirty documents of one unit."""

    def __init__(self, unit: Unit) -> None:
        draw = Draw(unit.seed, "dirt", unit.number)
        self._draw, self._folder = draw, f"unit-{unit.number:04d}"
        self._people, self._config = People(draw, unit.staff), Config(draw)
        self._twins, self._scrap = Twins(draw), Scrap(draw)
        self._kinds, self._number = Cycle(KINDS, draw), 0
        self.items = [self._scrap.item(f"u{unit.number:04d}-q{number}") for number in range(ITEMS)]

    def pages(self, clean: deque[tuple[str, Document]], most: int) -> Iterator[tuple[str, Page]]:
        """Path and page of the next dirty documents, at most so many; a chain of versions is more than one."""
        self._number += 1
        kind = self._kinds.next()
        if kind in ("versions", "series") and most >= 2:
            yield from self._chain(kind, clean, min(most, self._draw.between(2, 4)))
            return
        page = {
            "personal": self._people.page,
            "secret": self._config.page,
            "foreign": self._scrap.foreign,
            "junk": self._scrap.junk,
            "listing": self._scrap.listing,
            "technical": self._config.harmless,
        }.get(kind, lambda: self._copied(kind, clean))()
        yield f"{self._folder}/{page.truth.kind}/{page.name}-{self._number:04d}.{page.extension}", page

    def _copied(self, kind: str, clean: deque[tuple[str, Document]]) -> Page:
        """A document made of another one, or of an item."""
        path, document = self._draw.pick(tuple(clean))
        if kind == "contaminated":
            item = self._draw.pick(self.items)
            how, said = self._scrap.contaminated(item)
            made = self._twins.fresh(f"Training notes {self._number}")
            at = self._draw.below(len(made.blocks))
            made = Document(made.title, made.particulars, (*made.blocks[:at], Paragraph(said), *made.blocks[at:]))
            return self._rendered("notes", made, Truth(kind=kind, how=how, item=item["id"]))
        if kind == "alike":
            other = self._twins.rewritten(document)
            if resemblance(document, other) < TWIN - 0.1:
                return self._rendered("report", other, Truth(kind=kind))
        twin = self._twins.twin(document)
        return self._rendered("copy", twin, Truth(kind="near-duplicate", duplicate_of=path))

    def _chain(self, kind: str, clean: deque[tuple[str, Document]], count: int) -> Iterator[tuple[str, Page]]:
        """Versions of one document, oldest first; or a series whose names look like versions."""
        draw, document = self._draw, self._twins.fresh(f"Manual {self._number}")
        stem = f"manual-{self._number:04d}"
        name = draw.pick(VERSION_NAMES if kind == "versions" else SERIES_NAMES)
        extension = draw.pick(tuple(RENDERERS))
        names = [f"{self._folder}/manuals/{name.format(stem, number + 1)}.{extension}" for number in range(count)]
        for number, path in enumerate(names):
            newest = names[-1] if kind == "versions" and number < count - 1 else ""
            truth = Truth(
                kind="superseded" if newest else "version" if kind == "versions" else "series", superseded_by=newest
            )
            yield path, Page("manual", extension, "", truth, RENDERERS[extension](document))
            document = self._twins.rewritten(document) if kind == "versions" else self._twins.fresh(document.title)

    def _rendered(self, name: str, document: Document, truth: Truth) -> Page:
        extension = self._draw.pick(tuple(RENDERERS))
        return Page(name, extension, "", truth, RENDERERS[extension](document))


def write_dirty(
    unit: Unit, documents: int, dirty: int, company: str, dirt: Dirt
) -> Iterator[tuple[Written, dict[str, Any]]]:
    """Yield the documents of a unit, `dirty` of them planted, each with its line of labels.jsonl."""
    draw = Draw(unit.seed, "furniture", unit.number)
    clean: deque[tuple[str, Document]] = deque(maxlen=REMEMBERED)
    planted = 0
    for number, written in enumerate(write(unit, documents - dirty, company), 1):
        truth = _truth_of(written, clean)
        if written.document and truth.kind == "clean":
            clean.append((written.path, written.document))
        yield _finished(written.path, Page("", "", "", truth, written.data, written.told), company, draw)
        due = dirty * number // (documents - dirty)
        while planted < due:
            for path, page in dirt.pages(clean, dirty - planted):
                planted += 1
                yield _finished(path, page, company, draw)


def _truth_of(written: Written, clean: deque[tuple[str, Document]]) -> Truth:
    """What is true of a clean document: some are older versions or copies of the one before."""
    if written.superseded_by:
        return Truth(kind="superseded", language="en", superseded_by=written.superseded_by)
    if clean and "/archive/" in written.path:
        path, document = clean[-1]
        kind = "exact-duplicate" if document == written.document else "near-duplicate"
        return Truth(kind=kind, language="en", duplicate_of=path)
    return Truth(kind="clean", language="en")


def _finished(path: str, page: Page, company: str, draw: Draw) -> tuple[Written, dict[str, Any]]:
    """Furniture put on, marks taken off, the label written down."""
    extension = path.rpartition(".")[2]
    text = page.text if not page.data else page.data.decode() if extension in (*TEXT, "html") else ""
    spans: list[dict[str, Any]] = []
    lines: tuple[str, ...] = ()
    data = page.data
    if text:
        text, lines = furnished(text, extension, company, draw)
        text, found = unmarked(text)
        data = text.encode()
        spans = [span._asdict() for span in found]
    truth = page.truth.model_copy(update={"boilerplate": lines}).model_dump(exclude_defaults=True)
    label: dict[str, Any] = {"path": path, "kind": page.truth.kind, **truth}
    label["spans"] = [span for span in spans if not span["kind"].startswith(DECOY)]
    label["decoys"] = [
        {**span, "kind": span["kind"].removeprefix(DECOY)} for span in spans if span not in label["spans"]
    ]
    return Written(path, data, page.told, None, page.truth.superseded_by), label


def line(label: dict[str, Any]) -> str:
    """One line of labels.jsonl."""
    return json.dumps({key: value for key, value in label.items() if value}, ensure_ascii=False) + "\n"
