"""Where a document was used: every row, training step, checkpoint and release of the store that it reached."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from forge_dagster.lineage.graph import WEIGHTS, Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.lineage.steps import INDEX, SHARDS, PreTrainings
from forge_dagster.stage import FrozenModel

SIDES = ("train", "validation", "test")
PLACE = ("source", "path")
LABELS = ("owner", "licence", "sensitivity", "permitted_use", "audience")


class Rows(NamedTuple):
    """Rows that carry the ids of their documents: the file, the column of ids, and what is told of a row."""

    file: str
    column: str
    told: tuple[str, ...]


PAIRS: Mapping[str, Rows] = {
    "generated": Rows("rows.parquet", "document_id", ("question", "generator")),
    "instructions": Rows("rows.parquet", "document_ids", ("question", "rule", "split", "generator")),
    "policy_items": Rows("rows.parquet", "document_ids", ("prompt", "policy", "split")),
    "preferences": Rows("rows.parquet", "document_ids", ("prompt", "rule")),
}
TRAINS = ("instructions", "policy_items", "preferences")
"""Of these the rows that are not held out train a checkpoint."""


class Use(FrozenModel):
    """One thing that a document became part of, in one version of an artifact."""

    kind: str
    artifact: str
    digest: str
    told: Mapping[str, Any]

    @property
    def node(self) -> Node:
        return Node(self.artifact, self.digest)


class WhereUsed:
    """Asks a graph where documents were used. Raises UserError where an input that is needed is gone."""

    def __init__(self, graph: Graph, index: RowIndex) -> None:
        self.graph, self.index = graph, index
        self.trainings = PreTrainings(graph, index)

    def uses(self, document: str) -> list[Use]:
        """Every use of a document by its id, from the raw bytes on."""
        found = [*self._documents(document), *self._shards(document), *self._pairs(document), *self._items(document)]
        found += self._tokenizers(found)
        found += self._trained(found)
        found += self._released(found)
        return [*found, *self._exported(found)]

    def _documents(self, document: str) -> Iterator[Use]:
        for family, kind in (("raw_documents", "raw"), ("clean_documents", "clean")):
            for node in self.graph.of(family):
                for row in self._rows(node, "dispositions.parquet", "id", document, "path", "disposition", "reason"):
                    more: dict[str, Any] = {}
                    if kind == "clean" and row["disposition"] == "kept":
                        columns = ("path", *LABELS, "redactions")
                        same = self._rows(node, "documents.parquet", "id", document, *columns)
                        more = next(each for each in same if each["path"] == row["path"])
                        more["redactions"] = len(more["redactions"])
                    yield _use(kind, node, {**row, **more, "source": node.key.partition("/")[2]})
        for node in self.graph.of("document_split"):
            for row in self._rows(
                node, "split.parquet", "id", document, *PLACE, "cluster", "split", "disposition", "reason"
            ):
                alike = self._rows(node, "split.parquet", "cluster", row["cluster"], "id", *PLACE)
                duplicates = [f"{each['source']}/{each['path']}" for each in alike if each["row"] != row["row"]]
                yield _use("split", node, {**row, "duplicates": duplicates})
        for node in self.graph.of("corpus"):
            for row in self._rows(node, "dispositions.parquet", "id", document, "path", "disposition", "reason"):
                sides = {side: self._rows(node, f"{side}.parquet", "id", document, *PLACE) for side in SIDES}
                side = next((side for side, rows in sides.items() if rows), None)
                yield _use("corpus", node, {**row, "side": side, **(sides[side][0] if side else {})})

    def _shards(self, document: str) -> Iterator[Use]:
        for node in self.graph.of(SHARDS):
            for row in self._rows(node, INDEX, "document", document, "split", "shard", "start", "length", "bytes"):
                told = {name: value for name, value in row.items() if name not in ("document", "bytes")}
                yield _use("shards", node, {**told, "erased": not row["bytes"]})

    def _pairs(self, document: str) -> Iterator[Use]:
        for family, how in PAIRS.items():
            for node in self.graph.of(family):
                for row in self._rows(node, how.file, how.column, document, *how.told):
                    yield _use(family, node, {name: value for name, value in row.items() if name != how.column})

    def _items(self, document: str) -> Iterator[Use]:
        for node in self.graph.of("domain_benchmark"):
            content = self.graph.content(node)
            for task in json.loads((content / "benchmark.json").read_bytes())["tasks"]:
                for line in (content / task["items"]).read_text(encoding="utf-8").splitlines():
                    if document in line and document in (item := json.loads(line))["document_ids"]:
                        told = {
                            "item": item["id"],
                            "task": task["name"],
                            "role": task["role"],
                            "question": item["query"],
                        }
                        yield _use("benchmark", node, told)

    def _tokenizers(self, found: list[Use]) -> Iterator[Use]:
        learnt_from = {use.node for use in found if use.kind == "corpus" and use.told["side"] == "train"}
        for node in self.graph.of("tokenizer"):
            if any(above in learnt_from for _, above in self.graph.inputs(node)):
                yield _use("tokenizer", node, {"note": "its merges were counted over this document among all others"})

    def _trained(self, found: list[Use]) -> Iterator[Use]:
        """Checkpoints that read it in steps, learnt from rows made of it, or go on from one that did."""
        read = [use for use in found if use.kind == "shards" and not use.told["erased"]]
        shards = {use.node: use.told for use in read if use.told["split"] == "train"}
        rows: dict[Node, int] = {}
        for use in found:
            if use.kind in TRAINS and use.told.get("split") != "held_out":
                rows[use.node] = rows.get(use.node, 0) + 1
        reached: set[Node] = set()
        for node in self.graph.checkpoints:
            told: dict[str, Any] = {}
            for name, above in self.graph.inputs(node):
                if above in shards and self.trainings.settings(node) is not None:
                    place = shards[above]
                    steps = self.trainings.steps(node, place["row"], place["length"])
                    told |= {"pre_training": steps.model_dump(mode="json")} if steps.steps else {}
                elif name in TRAINS and above in rows:
                    told.setdefault("rows", {})[name] = rows[above]
                elif name in WEIGHTS and above in reached:
                    told.setdefault("goes_on_from", []).append(str(above))
            if told:
                if "rows" in told:
                    settings = self.graph.records[node][0].identity.config["settings"]
                    told |= {name: settings[name] for name in ("epochs", "steps") if name in settings}
                reached.add(node)
                yield _use("adapter" if self._is_adapter(node) else "checkpoint", node, told)

    def _is_adapter(self, node: Node) -> bool:
        return "adapter_config.json" in self.graph.records[node][0].files

    def _released(self, found: list[Use]) -> Iterator[Use]:
        reached = {use.node for use in found if use.kind in ("checkpoint", "adapter")}
        items = {use.node: 0 for use in found if use.kind == "benchmark"}
        for node in self.graph.releases:
            learnt = [str(each) for each in self.graph.learnt(node) if each in reached]
            judged = any(above in items for _, above in self.graph.inputs(node))
            if learnt or judged:
                current = self.graph.store.current(node.key) == node.digest
                yield _use("release", node, {"learnt_in": learnt, "judged_by_its_items": judged, "current": current})

    def _exported(self, found: list[Use]) -> Iterator[Use]:
        """Releases in other formats: what became part of a release became part of these."""
        released = {use.node: use.told for use in found if use.kind == "release"}
        for node in self.graph.exports:
            for release in (above for _, above in self.graph.inputs(node) if above in released):
                current = self.graph.store.current(node.key) == node.digest
                yield _use("export", node, {**released[release], "release": str(release), "current": current})

    def _rows(self, node: Node, name: str, column: str, value: str, *columns: str) -> list[dict[str, Any]]:
        return self.index.rows(node, name, column, value, columns)


def _use(kind: str, node: Node, told: Mapping[str, Any]) -> Use:
    return Use(kind=kind, artifact=node.key, digest=node.digest, told={k: v for k, v in told.items() if k != "id"})
