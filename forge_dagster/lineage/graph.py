"""The graph of what was made from what: every version of the store, by the records beside it."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from forge_dagster.errors import UserError
from forge_dagster.provenance.incumbent import CARRIED
from forge_dagster.provenance.record import Record
from forge_dagster.provenance.store import ArtifactStore

CHECKPOINT = "_checkpoint"
RELEASE = "/release"
EXPORT = "export/"
WEIGHTS = (*CARRIED, "teacher", "reward_model", "weights")
"""Inputs by which a checkpoint has what an earlier one learnt."""


class Node(NamedTuple):
    """One version of an artifact."""

    key: str
    digest: str

    @property
    def family(self) -> str:
        """The first part of the key: raw_documents, corpus, ..., or the name of a recipe."""
        return self.key.split("/", 1)[0]

    @property
    def is_checkpoint(self) -> bool:
        return self.key.endswith(CHECKPOINT)

    @property
    def is_release(self) -> bool:
        return self.key.endswith(RELEASE)

    @property
    def is_export(self) -> bool:
        return self.key.startswith(EXPORT)

    def __str__(self) -> str:
        return f"{self.key}@{self.digest[:12]}"


class Graph:
    """Every version that stands in a store, also those that no pointer names any more, and their inputs.

    Raises IntegrityError if a record is damaged: an answer that left it out would be wrong.
    """

    def __init__(self, store: ArtifactStore) -> None:
        self.store = store
        self.records: dict[Node, list[Record]] = {}
        for key in store.all_keys():
            for digest in store.versions(key):
                self.records[Node(key, digest)] = store.records(key, digest)

    def content(self, node: Node) -> Path:
        """Content folder of a version."""
        return self.store.content(*node)

    def of(self, family: str) -> list[Node]:
        """Every version whose key begins with `family`."""
        return [node for node in self.records if node.family == family]

    @cached_property
    def releases(self) -> list[Node]:
        return [node for node in self.records if node.is_release]

    @cached_property
    def exports(self) -> list[Node]:
        return [node for node in self.records if node.is_export]

    @cached_property
    def checkpoints(self) -> list[Node]:
        """Every checkpoint, each after those that it goes on from."""
        ordered: list[Node] = []
        for node in (node for node in self.records if node.is_checkpoint):
            chain = [node, *self.walk([node], WEIGHTS)]
            ordered += [each for each in reversed(chain) if each not in ordered and each.is_checkpoint]
        return ordered

    def inputs(self, node: Node) -> Iterator[tuple[str, Node]]:
        """Name and version of each input that is an artifact; of equal bytes made twice, those of either making."""
        seen = set()
        for record in self.records.get(node, ()):
            for name, ref in record.identity.inputs.items():
                if ref.key is not None and (name, ref) not in seen:
                    seen.add((name, ref))
                    yield name, Node(ref.key, ref.digest)

    def input(self, node: Node, name: str) -> Node:
        """The one input of this name. Raises UserError if it has none, or is no longer in the store."""
        found = [each for called, each in self.inputs(node) if called == name]
        if not found or found[0] not in self.records:
            raise UserError(
                f"{node} has no {name} in the store" + (f": {found[0]}" if found else ""),
                rule="lineage is computed from what stands in the store",
                mend="get it again with `forge pull`",
            )
        return found[0]

    def walk(self, nodes: Iterable[Node], names: tuple[str, ...] | None = None) -> list[Node]:
        """All versions above, nearest first, by any input or by inputs of these names alone."""
        found: list[Node] = []
        waiting, seen = list(nodes), set(nodes)
        while waiting:
            for name, above in self.inputs(waiting.pop(0)):
                if above not in seen and (names is None or name in names):
                    seen.add(above)
                    found.append(above)
                    waiting.append(above)
        return found

    def learnt(self, release: Node) -> list[Node]:
        """The checkpoints whose training is in the weights of a release, the first one first.

        The model that served before is an input of a release too, but only to be compared with.
        """
        last = self.input(release, "checkpoint")
        return [node for node in reversed([last, *self.walk([last], WEIGHTS)]) if node.is_checkpoint]

    @cached_property
    def released_from(self) -> dict[Node, list[Node]]:
        """Of each checkpoint the releases that have its training in them."""
        found: dict[Node, list[Node]] = defaultdict(list)
        for release in self.releases:
            tops = [above for name, above in self.inputs(release) if name == "checkpoint"]
            for checkpoint in {*tops, *self.walk(tops, WEIGHTS)}:
                found[checkpoint].append(release)
        return found
