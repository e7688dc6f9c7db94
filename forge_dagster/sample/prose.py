"""Sentences that state no fact: what a document says besides, by topic."""

from functools import cache

from forge_dagster.sample.draw import Cycle, Draw
from forge_dagster.sample.values import FOLDER
from forge_dagster.source import read_yaml
from forge_dagster.stage import FrozenModel


class Sentences(FrozenModel):
    """Templates by topic, and what their slots may hold."""

    slots: dict[str, tuple[str, ...]]
    topics: dict[str, tuple[str, ...]]


@cache
def sentences() -> Sentences:
    """Load `wordings/prose.yaml`."""
    return Sentences.model_validate(read_yaml(FOLDER / "prose.yaml"))


class Prose:
    """Deals sentences of a topic; each comes once before any comes again."""

    def __init__(self, draw: Draw) -> None:
        self._draw = draw
        self._topics = {topic: Cycle(templates, draw) for topic, templates in sentences().topics.items()}

    def sentence(self, topic: str) -> str:
        """Return the next sentence of a topic."""
        slots = {name: self._draw.pick(values) for name, values in sentences().slots.items()}
        return self._topics[topic].next().format(**slots)

    def several(self, topic: str, count: int) -> list[str]:
        """Return the next `count` sentences of a topic."""
        return [self.sentence(topic) for _ in range(count)]

    def slot(self, name: str) -> str:
        """Return a value of a slot."""
        return self._draw.pick(sentences().slots[name])
