"""Which steps of a pre-training read a document: computed from its record and its shards, for nothing logged it."""

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.stage import START_SHARDS, FrozenModel
from forge_dagster.tokens.mixture import ReadingOrder
from forge_dagster.tokens.reader import Documents, trained_on
from forge_dagster.training.order import order_of
from forge_dagster.training.settings import Settings

INDEX = "documents.parquet"
SHARDS = "token_shards"


class Steps(FrozenModel):
    """What one pre-training had of one document."""

    of: int
    """Steps of the whole training."""
    steps: tuple[int, ...]
    """Those that read it, from 0."""
    tokens: int
    times: float
    """Tokens read for each token it has."""
    without_effect: tuple[int, ...]
    """Of `steps` those that were skipped or taken back: the weights have nothing of them."""


class PreTrainings:
    """The reading orders of a graph's pre-trainings, each made once."""

    def __init__(self, graph: Graph, index: RowIndex) -> None:
        self.graph, self.index = graph, index
        self._training = cache(self._made)
        self._documents = cache(self._listed)

    def settings(self, checkpoint: Node) -> tuple[Settings, int] | None:
        """Settings and seed, if the checkpoint was trained on token shards."""
        config = self.graph.records[checkpoint][0].identity.config
        if SHARDS not in dict(self.graph.inputs(checkpoint)):
            return None
        # A stage may have settings beyond these; none of them changes the order.
        told = {name: value for name, value in config["settings"].items() if name in Settings.model_fields}
        return Settings.model_validate(told), int(config["seed"])

    def read(self, checkpoint: Node) -> npt.NDArray[np.int64]:
        """Tokens of each training document that its pre-training read, in the order of the shards' index."""
        settings, order, _ = self._training(checkpoint)
        return np.asarray(order.read(settings.steps * settings.rows))

    def steps(self, checkpoint: Node, document: int, length: int) -> Steps:
        """What it had of training document number `document`, which has `length` tokens."""
        settings, order, lost = self._training(checkpoint)
        pieces = order.rows_with(document, settings.steps * settings.rows)
        steps = tuple(dict.fromkeys(row // settings.rows for row, _ in pieces))
        tokens = sum(count for _, count in pieces)
        return Steps(
            of=settings.steps,
            steps=steps,
            tokens=tokens,
            times=tokens / length,
            without_effect=tuple(step for step in steps if step in lost),
        )

    def _made(self, checkpoint: Node) -> tuple[Settings, ReadingOrder, set[int]]:
        found = self.settings(checkpoint)
        assert found is not None, f"{checkpoint} is of no pre-training"
        settings, seed = found
        documents = self._documents(self.graph.input(checkpoint, SHARDS))
        if settings.going_on is not None:
            before = self.graph.content(self.graph.input(checkpoint, START_SHARDS))
            names = trained_on(self.graph.content(self.graph.input(checkpoint, SHARDS)))
            documents = replace(documents, seen=pc.is_in(names, value_set=trained_on(before)).to_numpy(False))
        order = order_of(documents, settings, seed)
        told = json.loads((self.graph.content(checkpoint) / "training.json").read_bytes())
        back = {step for each in told["rewinds"] for step in range(each["back_to"], each["steps_done"])}
        return settings, order, back | set(told["skipped"])

    def _listed(self, shards: Node) -> Documents:
        """The training documents as far as an order depends on them."""
        table = self.index.array(shards, INDEX, "lengths", _lengths_and_sources)
        names = json.loads(self.index.array(shards, INDEX, "sources", _source_names).tobytes())
        empty = np.zeros(0, np.int64)
        return Documents(
            shards=(), shard=empty, starts=empty, sizes=empty, vocab_size=0, sources=tuple(names),
            lengths=table["length"].astype(np.int64), source=table["source"].astype(np.int64),
        )  # fmt: skip


def _trained_on(path: Path, columns: list[str]) -> Any:
    table = pq.read_table(path, columns=["split", *columns])
    return table.filter(pc.equal(table["split"], "train"))


def _source_names(path: Path) -> npt.NDArray[np.uint8]:
    names = sorted(pc.unique(_trained_on(path, ["source"])["source"]).to_pylist())
    return np.frombuffer(json.dumps(names).encode(), np.uint8)


def _lengths_and_sources(path: Path) -> npt.NDArray[Any]:
    """Length in tokens and number of the source, a row a training document."""
    table = _trained_on(path, ["length", "source"])
    sources = table["source"].combine_chunks()
    numbers = pc.index_in(sources, value_set=pc.unique(sources).sort())
    found = np.empty(len(table), [("length", "<u4"), ("source", "<u2")])
    found["length"], found["source"] = table["length"].to_numpy(), numbers.to_numpy()
    return found
