"""The templates of `wordings/*.yaml`: how facts are stated, asked, and held out."""

from functools import cache
from typing import Self

from pydantic import Field, model_validator

from forge_dagster.sample.overlap import SIZE, words
from forge_dagster.sample.values import FOLDER, organisation
from forge_dagster.source import read_yaml
from forge_dagster.stage import FrozenModel

SUBJECTS = ("{s}", "{S}", "{n}")
VALUES = ("{v}", "{V}")


def _place(template: str, slots: tuple[str, ...]) -> int:
    """Return where the first of the slots stands, or -1."""
    return min((template.index(slot) for slot in slots if slot in template), default=-1)


class Sentences(FrozenModel):
    """Templates by the order of subject {s} {S} {n} and value {v} {V}."""

    forward: tuple[str, ...]
    reversed: tuple[str, ...]
    asks: tuple[str, ...] = Field(description="questions that the documents ask")

    @model_validator(mode="after")
    def slots_stand_in_order(self) -> Self:
        for template in self.forward:
            if not 0 <= _place(template, SUBJECTS) < _place(template, VALUES):
                raise ValueError(f"{template!r}: the subject comes before the value")
        for template in self.reversed:
            if not 0 <= _place(template, VALUES) < _place(template, SUBJECTS):
                raise ValueError(f"{template!r}: the value comes before the subject")
        for template in self.asks:
            if _place(template, SUBJECTS) < 0 or _place(template, VALUES) >= 0 or not template.endswith("?"):
                raise ValueError(f"{template!r}: a question names the subject, not the value")
        return self


class Frames(Sentences):
    """Sentences that fit every relation by its {noun}; `follow` needs a subject named just before."""

    follow: tuple[str, ...]


class Relation(Sentences):
    """How one relation is put into words; `ask` and `unseen` never come into a document."""

    nouns: tuple[str, ...] = Field(min_length=1)
    ask: str
    unseen: tuple[str, ...] = Field(min_length=1, description="prefixes that end right before the value")

    @model_validator(mode="after")
    def held_out_wordings_can_be_told_apart(self) -> Self:
        for template in (*self.unseen, self.ask):
            if _place(template, SUBJECTS) < 0 or _place(template, VALUES) >= 0:
                raise ValueError(f"{template!r}: a held-out wording names the subject, not the value")
            if len(words(template, ())) < SIZE:
                raise ValueError(f"{template!r}: fewer than {SIZE} words prove nothing")
        return self


class Kind(FrozenModel):
    """The relations of one kind of subject, the article before its name and its possessive."""

    article: str
    possessive: str
    relations: dict[str, Relation]


@cache
def frames() -> Frames:
    """Load the sentences that fit every relation."""
    return Frames.model_validate(read_yaml(FOLDER / "frames.yaml"))


@cache
def kinds() -> dict[str, Kind]:
    """Load the wordings of each kind of subject."""
    return {kind: Kind.model_validate(read_yaml(FOLDER / f"{kind}.yaml")) for kind in organisation().relations}


def fill(template: str, kind: str, name: str, *, noun: str = "", value: str = "") -> str:
    """Put a subject's name, a noun and a value into a template."""
    grammar = kinds()[kind]
    slots = {"s": grammar.article + name, "its": grammar.possessive, "noun": noun, "v": value}
    capitals = {slot.capitalize(): text[:1].upper() + text[1:] for slot, text in slots.items()}
    return template.format(n=name, **slots, **capitals)


def prefix_of(template: str) -> str | None:
    """Return the part of a forward template before its value; None if the value comes before the subject."""
    place = _place(template, VALUES)
    return template[:place].rstrip() if 0 <= _place(template, SUBJECTS) < place else None
