"""Canaries: sentences with random words, planted in a known number of documents, to tell what a model memorises.

Carlini et al. 2019, The Secret Sharer, section 4.
"""

from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import yaml

from forge_dagster.sample.blocks import Document, Paragraph
from forge_dagster.sample.draw import Draw
from forge_dagster.sample.prose import sentences
from forge_dagster.sample.values import FOLDER
from forge_dagster.sample.world import Unit
from forge_dagster.source import read_yaml
from forge_dagster.stage import FrozenModel

REPETITIONS = (0, 1, 4, 16)
"""Documents that a canary stands in; one that stands in none shows what chance gives."""
OF_EACH = 3
WORDS = 3
MOST_SHARE = 3
"""One document in so many may hold a canary."""


class Wordings(FrozenModel):
    """What a canary begins with, and the words it is drawn from."""

    prefix: str
    words: tuple[str, ...]


@cache
def wordings() -> Wordings:
    """Load `wordings/canaries.yaml`."""
    return Wordings.model_validate(read_yaml(FOLDER / "canaries.yaml"))


class Canaries:
    """The canaries of a unit, and which of its documents hold which."""

    def __init__(self, unit: Unit, numbers: list[int]) -> None:
        draw = Draw(unit.seed, "canaries", unit.number)
        room = draw.shuffled(numbers)[: len(numbers) // MOST_SHARE]
        areas = sentences().slots["area"]
        self.declared: list[dict[str, Any]] = []
        self._planted: dict[int, str] = {}
        for repetitions in REPETITIONS:
            for _ in range(OF_EACH):
                number = len(self.declared) + 1
                prefix = wordings().prefix.format(number=unit.number * 100 + number, area=draw.pick(areas))
                value = draw.sample(wordings().words, WORDS)
                if repetitions <= len(room):
                    places, room = room[:repetitions], room[repetitions:]
                    self._planted |= dict.fromkeys(places, f"{prefix} {' '.join(value)}.")
                    name = f"u{unit.number:04d}-canary{number:02d}"
                    self.declared.append({"id": name, "prefix": prefix, "value": value, "spaces": ["word"] * WORDS})

    def into(self, document: Document, number: int) -> Document:
        """The document with its canary, if it has one, at the end of its first paragraph."""
        planted = self._planted.get(number)
        place = next((at for at, block in enumerate(document.blocks) if isinstance(block, Paragraph)), None)
        if planted is None or place is None:
            return document
        block = document.blocks[place]
        assert isinstance(block, Paragraph)
        held = Paragraph(f"{block.text} {planted}")
        return replace(document, blocks=(*document.blocks[:place], held, *document.blocks[place + 1 :]))

    @property
    def counts(self) -> Counter[str]:
        """How many documents were chosen for each planted sentence."""
        return Counter(self._planted.values())


def declaration(canaries: list[dict[str, Any]]) -> str:
    """canaries.yaml: the spaces that words were drawn from, and every canary."""
    body = {"spaces": {"word": list(wordings().words)}, "canaries": canaries}
    return "# What `forge sample` planted to measure memorisation; see `canaries` of a source.\n" + yaml.safe_dump(
        body, sort_keys=False, default_flow_style=None, width=110
    )
