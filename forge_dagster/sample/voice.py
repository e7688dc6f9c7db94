"""Who puts facts into words: deals the wordings of each fact so that they differ for as long as possible."""

from dataclasses import dataclass
from typing import NamedTuple

from forge_dagster.sample.draw import Cycle, Draw
from forge_dagster.sample.wordings import fill, frames, kinds, prefix_of
from forge_dagster.sample.world import Fact, Unit

SPECIFIC_FORWARD, FRAME_FORWARD, SPECIFIC_REVERSED = 45, 30, 12
"""Percentages of the ways to state a fact; reversed frames take the rest."""


class Wording(NamedTuple):
    """A template, and the noun for its {noun}."""

    template: str
    noun: str


@dataclass(frozen=True)
class Statement:
    """A fact in words; `prefix` is the part before the value where the subject comes first."""

    fact: Fact
    wording: Wording
    text: str
    prefix: str | None = None


class Voice:
    """States and asks the facts of one unit."""

    def __init__(self, unit: Unit, draw: Draw) -> None:
        self._draw = draw
        self._cycles: dict[tuple[str, str], Cycle[Wording]] = {}
        for facts in unit.facts.values():
            for fact in facts:
                for way, wordings in _ways(fact).items():
                    self._cycles[fact.id, way] = Cycle(wordings, draw)

    def tell(self, fact: Fact) -> Statement:
        """State a fact in a sentence of its own."""
        point = self._draw.below(100)
        if point < SPECIFIC_FORWARD:
            return self._say(fact, "forward")
        if point < SPECIFIC_FORWARD + FRAME_FORWARD:
            return self._say(fact, "frame forward")
        if point < SPECIFIC_FORWARD + FRAME_FORWARD + SPECIFIC_REVERSED:
            return self._say(fact, "reversed")
        return self._say(fact, "frame reversed")

    def follow(self, fact: Fact) -> Statement:
        """State a fact of the subject that the sentence before named."""
        return self._say(fact, "follow")

    def label(self, fact: Fact) -> Statement:
        """Name the relation, for a table, a key or a setting; the text is the noun."""
        wording = self._cycles[fact.id, "noun"].next()
        return Statement(fact, wording, wording.noun)

    def ask(self, fact: Fact) -> Statement:
        """Ask for a fact; the text is the question."""
        return self._say(fact, "ask")

    def _say(self, fact: Fact, way: str) -> Statement:
        wording = self._cycles[fact.id, way].next()
        prefix = prefix_of(wording.template)
        text, before = (
            part and fill(part, fact.subject.kind, fact.subject.name, noun=wording.noun, value=fact.answer)
            for part in (wording.template, prefix)
        )
        return Statement(fact, wording, str(text), before)


def _ways(fact: Fact) -> dict[str, list[Wording]]:
    relation, general = kinds()[fact.subject.kind].relations[fact.relation], frames()

    def own(templates: tuple[str, ...]) -> list[Wording]:
        return [Wording(template, "") for template in templates]

    def framed(templates: tuple[str, ...]) -> list[Wording]:
        return [Wording(template, noun) for template in templates for noun in relation.nouns]

    return {
        "forward": own(relation.forward),
        "reversed": own(relation.reversed),
        "frame forward": framed(general.forward),
        "frame reversed": framed(general.reversed),
        "follow": framed(general.follow),
        "ask": own(relation.asks) + framed(general.asks),
        "noun": framed(("",)),
    }
