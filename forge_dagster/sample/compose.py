"""One document from a form, its subject and the others it mentions: sections, styles, and a tally of what is told."""

import calendar
from collections.abc import Callable, Sequence

from forge_dagster.sample.blocks import Block, Code, Document, Heading, Items, Pairs, Paragraph, Questions, Table
from forge_dagster.sample.draw import Draw
from forge_dagster.sample.forms import Form, Section
from forge_dagster.sample.prose import Prose
from forge_dagster.sample.voice import Statement, Voice
from forge_dagster.sample.wordings import fill
from forge_dagster.sample.world import Fact, Subject, Unit

FOLLOW = 20
"""Percentage of sentences that leave it to the sentence before to name the subject."""
MONTHS = tuple(name for name in calendar.month_name if name)


class Composer:
    """Writes the documents of one unit; the same calls in the same order give the same documents."""

    def __init__(self, unit: Unit, company: str) -> None:
        self._unit, self._company = unit, company
        self._draw = Draw(unit.seed, "documents", unit.number)
        self._voice, self._prose = Voice(unit, self._draw), Prose(self._draw)
        self._told: list[Statement] = []
        self._styles: dict[str, Callable[[Sequence[Subject], str], list[Block]]] = {
            "prose": self._paragraphs,
            "bullets": self._bullets,
            "steps": self._steps,
            "log": self._log,
            "keys": self._keys,
            "table": self._table,
            "code": self._code,
            "questions": self._questions,
        }

    def compose(
        self, form: Form, number: int, own: Subject, others: Sequence[Subject]
    ) -> tuple[Document, list[Statement]]:
        """Write document `number`; return it with every statement it makes."""
        self._told = []
        title = fill(self._draw.pick(form.titles), own.kind, own.name)
        particulars = self._particulars(number)
        blocks: list[Block] = []
        for section in form.sections:
            blocks += self._section(section, own, others)
        unbroken = {text for told in self._told for text in (told.fact.subject.name, told.fact.answer)}
        document = Document(title[:1].upper() + title[1:], particulars, tuple(blocks), frozenset(unbroken))
        return document, self._told

    def revise(self, document: Document) -> Document:
        """Return a document as it is kept when superseded: other particulars, one remark more."""
        kept = tuple((label, value) for label, value in document.particulars if label != "Status")
        remark = Paragraph(
            f"This version has been superseded and is kept for reference. {self._prose.sentence('planning')}"
        )
        return Document(
            document.title, (*kept, ("Status", "superseded")), (remark, *document.blocks), document.unbroken
        )

    def _particulars(self, number: int) -> tuple[tuple[str, str], ...]:
        draw = self._draw
        date = f"{draw.between(1, 28)} {draw.pick(MONTHS)} {draw.between(2019, 2025)}"
        every = [
            ("Issued", date),
            ("Issued by", self._prose.slot("team")),
            ("Distribution", self._prose.slot("shift")),
            ("Filed in", self._prose.slot("area")),
            ("Status", draw.pick(("in force", "approved", "current", "released"))),
        ]
        return (
            ("Company", self._company),
            ("Document", f"{self._unit.number + 1}-{number + 1:04d}"),
            *draw.sample(every, 3),
        )

    def _section(self, section: Section, own: Subject, others: Sequence[Subject]) -> list[Block]:
        about = {"own": [own], "others": list(others), "all": [own, *others], "none": []}[section.about]
        heading = self._draw.pick(section.heading)
        if section.about == "own" and section.style in ("keys", "table", "code"):
            heading = f"{heading}: {own.name}"
        return [Heading(heading), *self._styles[section.style](about, section.topic)]

    def _facts(self, subject: Subject) -> list[Fact]:
        return self._draw.shuffled(self._unit.facts[subject])

    def _note(self, statement: Statement) -> str:
        self._told.append(statement)
        return statement.text

    def _sentences(self, subject: Subject, *, follow: bool) -> list[str]:
        """Every fact of a subject; sentences that need the one before are joined to it."""
        result: list[str] = []
        for fact in self._facts(subject):
            if follow and result and self._draw.chance(FOLLOW):
                result[-1] += " " + self._note(self._voice.follow(fact))
            else:
                result.append(self._note(self._voice.tell(fact)))
        return result

    def _mixed(self, statements: list[str], topic: str, fillers: int) -> list[str]:
        """Put other sentences between statements, which keep their order."""
        places = set(self._draw.sample(range(len(statements) + fillers), fillers))
        rest = iter(statements)
        return [
            self._prose.sentence(topic) if place in places else next(rest) for place in range(len(statements) + fillers)
        ]

    def _paragraphs(self, about: Sequence[Subject], topic: str) -> list[Block]:
        if not about:
            return [Paragraph(" ".join(self._prose.several(topic, self._draw.between(3, 5))))]
        blocks: list[Block] = []
        for subject in about:
            fillers = self._draw.between(2, 4) if len(about) == 1 else self._draw.between(0, 2)
            blocks.append(Paragraph(" ".join(self._mixed(self._sentences(subject, follow=True), topic, fillers))))
        return blocks

    def _list(self, about: Sequence[Subject], topic: str) -> tuple[str, ...]:
        statements = [sentence for subject in about for sentence in self._sentences(subject, follow=False)]
        return tuple(self._mixed(statements, topic, self._draw.between(2, 4)))

    def _bullets(self, about: Sequence[Subject], topic: str) -> list[Block]:
        return [Items(self._list(about, topic))]

    def _steps(self, about: Sequence[Subject], topic: str) -> list[Block]:
        return [Paragraph(self._prose.sentence(topic)), Items(self._list(about, topic), numbered=True)]

    def _log(self, about: Sequence[Subject], topic: str) -> list[Block]:
        entries, minute = [], self._draw.between(360, 720)
        for sentence in self._list(about, topic):
            minute += self._draw.between(3, 40)
            entries.append(f"{minute // 60 % 24:02d}:{minute % 60:02d} {sentence}")
        return [Items(tuple(entries))]

    def _labels(self, subject: Subject) -> list[tuple[str, str]]:
        pairs = []
        for fact in self._facts(subject):
            noun = self._note(self._voice.label(fact))
            pairs.append((noun[:1].upper() + noun[1:], fact.answer))
        return pairs

    def _keys(self, about: Sequence[Subject], topic: str) -> list[Block]:
        alone = len(about) == 1
        pairs = [
            (label if alone else f"{subject.name}, {label[:1].lower()}{label[1:]}", value)
            for subject in about
            for label, value in self._labels(subject)
        ]
        return [Pairs(tuple(pairs)), Paragraph(" ".join(self._prose.several(topic, self._draw.between(1, 3))))]

    def _table(self, about: Sequence[Subject], topic: str) -> list[Block]:
        rows = [(subject.name, *pair) for subject in about for pair in self._labels(subject)]
        return [Table(("Subject", "Property", "Value"), tuple(rows)), Paragraph(self._prose.sentence(topic))]

    def _code(self, about: Sequence[Subject], topic: str) -> list[Block]:
        lines: list[str] = []
        for subject in about:
            lines += [f"# {self._prose.sentence(topic)}", f"[{subject.name.lower().replace(' ', '-')}]"]
            for fact in self._facts(subject):
                key = self._note(self._voice.label(fact)).replace(" ", "_").replace("-", "_")
                lines += [f"# {self._note(self._voice.tell(fact))}", f'{key} = "{fact.answer}"']
        return [Code(tuple(lines))]

    def _questions(self, about: Sequence[Subject], topic: str) -> list[Block]:
        pairs = [(self._note(self._voice.ask(fact)), fact.answer) for subject in about for fact in self._facts(subject)]
        return [Paragraph(self._prose.sentence(topic)), Questions(tuple(self._draw.shuffled(pairs)))]
