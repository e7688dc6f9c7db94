"""The organisation: its units, their subjects and facts, each a pure function of (seed, unit)."""

from dataclasses import dataclass
from functools import cached_property

from forge_dagster.sample import names
from forge_dagster.sample.draw import Draw
from forge_dagster.sample.values import MOST_SUBJECTS, organisation

FEWEST_SUBJECTS = 4
"""A fact has one answer and three distractors, each of them another subject's answer."""
DISTRACTORS = 3


@dataclass(frozen=True)
class Subject:
    """Something that documents are written about."""

    kind: str
    number: int
    """Place among its kind in its unit."""
    name: str


@dataclass(frozen=True)
class Fact:
    """One thing that is true: `subject` has `answer` as its `relation`."""

    id: str
    subject: Subject
    relation: str
    answer: str
    distractors: tuple[str, ...]


@dataclass(frozen=True)
class Unit:
    """A part of the organisation that knows its own subjects only; `subjects_per_kind` of the first `kinds` kinds."""

    seed: int
    number: int
    kinds: int
    subjects_per_kind: int

    @property
    def _known(self) -> list[str]:
        return list(organisation().relations)[: self.kinds]

    @cached_property
    def staff(self) -> tuple[str, ...]:
        """Names of the people, who are both subjects and values."""
        first = self.number * MOST_SUBJECTS
        return tuple(names.person(self.seed, first + place) for place in range(self.subjects_per_kind))

    @cached_property
    def subjects(self) -> tuple[Subject, ...]:
        """Subjects, kind by kind."""
        return tuple(
            Subject(kind, place, self._name(kind, place))
            for kind in self._known
            for place in range(self.subjects_per_kind)
        )

    @cached_property
    def facts(self) -> dict[Subject, tuple[Fact, ...]]:
        """Facts of each subject. Within a relation every value is the answer of exactly one subject."""
        values = {
            (kind, relation): self._values(kind, relation)
            for kind in self._known
            for relation in organisation().relations[kind]
        }
        return {
            subject: tuple(
                self._fact(subject, relation, values[subject.kind, relation])
                for relation in organisation().relations[subject.kind]
            )
            for subject in self.subjects
        }

    def _fact(self, subject: Subject, relation: str, values: list[str]) -> Fact:
        identity = f"u{self.number:04d}-{subject.kind}{subject.number:02d}-{relation}"
        answer = values[subject.number]
        others = [value for value in values if value != answer]
        distractors = Draw(self.seed, "distractors", identity).sample(others, DISTRACTORS)
        return Fact(identity, subject, relation, answer, tuple(distractors))

    def _name(self, kind: str, place: int) -> str:
        if kind == "person":
            return self.staff[place]
        named = list(organisation().nouns).index(kind)
        word = names.word(self.seed, (self.number * len(organisation().nouns) + named) * MOST_SUBJECTS + place)
        nouns = Draw(self.seed, "nouns", self.number, kind).shuffled(organisation().nouns[kind])
        return f"{word} {nouns[place % len(nouns)]}"

    def _values(self, kind: str, relation: str) -> list[str]:
        """Return as many different values as there are subjects of a kind, in the order of the subjects."""
        type_, count = organisation().relations[kind][relation], self.subjects_per_kind
        first = self.number * MOST_SUBJECTS
        if type_ == "person":
            return Draw(self.seed, "values", self.number, kind, relation).shuffled(self.staff)
        if type_ == "part number":
            return [names.part_number(self.seed, first + place) for place in range(count)]
        if type_ == "port":
            return [names.port(self.seed, first + place) for place in range(count)]
        return Draw(self.seed, "values", self.number, kind, relation).sample(organisation().pools[type_], count)
