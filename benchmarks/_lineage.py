"""A store of generated lineage: Parquet files, records and releases as the pipeline makes them, without their texts."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.corpus.rows import MOST_ROWS
from forge_dagster.pairs.instructions import ROWS
from forge_dagster.provenance.files import content_digest, list_files
from forge_dagster.provenance.record import FileEntry, Identity, InputRef, Record
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.stage import Report

SIDES = ("train", "validation", "test")
CHANGED = 100  # one document in so many, from one release to the next
DUPLICATES = 10  # one document in so many is a duplicate of the one before it
PAIRS, ITEMS = 6000, 1000
SETTINGS = {
    "sequence_length": 2048, "batch_tokens": 1 << 19, "warmup_share": 0.1, "decay_share": 0.5, "muon_lr": 0.02,
    "embedding_lr": 0.1, "head_lr": 0.02, "norm_lr": 0.01, "router_lr": 0.01, "muon_momentum": 0.9,
    "weight_decay": 0.0, "clip_norm": 1.0, "spike_sigmas": 6.0, "rewind_steps": 50, "validation_tokens": 10_000,
}  # fmt: skip
EPOCHS = 2


class Lineage:
    """Writes versions of every artifact from raw documents to release, each made from the one before."""

    def __init__(self, root: Path, documents: int) -> None:
        self.store, self.root, self.count = ArtifactStore(root / "artifacts"), root, documents
        self.draw = np.random.default_rng(1)
        self.ids = self._new(documents)

    def release(self, number: int) -> None:
        """One more of everything, after one document in CHANGED was replaced."""
        places = self.draw.choice(self.count, max(1, self.count // CHANGED), replace=False)
        self.ids[places] = self._new(len(places))
        ids = _texts(self.ids)
        order = np.arange(self.count)
        paths = pa.array([f"unit-{n // 1000:04}/{n:07}.md" for n in range(self.count)])
        source = _same("plant", self.count)
        is_kept = order % DUPLICATES != DUPLICATES - 1
        side = np.where(order % 100 == 1, "validation", np.where(order % 100 == 2, "test", "train"))
        side = np.where(is_kept, side, "")
        kept = pa.array(is_kept)
        decided = {"path": paths, "id": ids, "disposition": _same("kept", self.count), "reason": _same("", self.count)}
        raw = self._add("raw_documents/plant", {}, {"dispositions": pa.table(decided)})
        terms = {
            "owner": _same("plant", self.count), "licence": _same("internal", self.count),
            "sensitivity": _same("internal", self.count),
            "permitted_use": pa.array([["training"]] * self.count), "audience": pa.array([["everyone"]] * self.count),
        }  # fmt: skip
        documents = pa.table({"id": ids, "source": source, "path": paths, **terms})
        cleaned = documents.append_column("redactions", pa.array([[]] * self.count, pa.list_(pa.int64())))
        clean = self._add(
            "clean_documents/plant", {"raw": raw}, {"dispositions": pa.table(decided), "documents": cleaned}
        )
        outcome = pa.array(np.where(is_kept, "kept", "dropped")), pa.array(np.where(is_kept, "", "exact-duplicate"))
        cluster = _texts(self.ids[np.where(is_kept, order, order - 1)])
        parted = {"id": ids, "source": source, "path": paths, "cluster": cluster, "split": pa.array(side),
                  "disposition": outcome[0], "reason": outcome[1]}  # fmt: skip
        split = self._add("document_split", {"clean_documents/plant": clean}, {"split": pa.table(parted)})
        sides = {name: documents.filter(pa.array(side == name)) for name in SIDES}
        corpus = self._add(
            "corpus", {"document_split": split}, {"dispositions": pa.table(decided).filter(kept), **sides}
        )
        shards, tokens = self._shards(corpus, sides)
        pairs = self._pairs(corpus, sides["train"]["id"])
        self._release(number, corpus, shards, pairs, tokens)

    def _shards(self, corpus: InputRef, sides: Mapping[str, pa.Table]) -> tuple[InputRef, int]:
        parts, tokens = [], 0
        for name in SIDES[:2]:
            lengths = self.draw.integers(100, 1000, len(sides[name]))
            starts = np.cumsum(lengths) - lengths
            tokens += int(lengths.sum()) if name == "train" else 0
            parts.append(
                pa.table({
                    "document": sides[name]["id"], "split": _same(name, len(lengths)), "source": sides[name]["source"],
                    "shard": _same(f"{name}-00000.bin", len(lengths)), "start": starts, "length": lengths,
                    "bytes": lengths * 4,
                })
            )  # fmt: skip
        return self._add("token_shards/bpe", {"corpus": corpus}, {"documents": pa.concat_tables(parts)}), tokens

    def _pairs(self, corpus: InputRef, train: pa.ChunkedArray) -> dict[str, InputRef]:
        drawn = train.take(pa.array(self.draw.choice(len(train), PAIRS + ITEMS))).to_pylist()
        row = {"answer": "a", "rule": "faq", "split": "train", "generator": "g", "prompt_digest": "", "history": []}
        rows = [{"question": f"Question {n}?", "document_ids": [id_], **row} for n, id_ in enumerate(drawn[:PAIRS])]
        items = [
            {"id": f"facts/{n}", "query": f"Item {n}?", "document_ids": [id_]} for n, id_ in enumerate(drawn[PAIRS:])
        ]
        lines = "".join(json.dumps(item) + "\n" for item in items)
        tasks = {"tasks": [{"name": "facts", "role": "knowledge", "items": "facts.jsonl"}]}
        made = {"corpus": corpus}
        return {
            "instructions": self._add("instructions", made, {"rows": pa.Table.from_pylist(rows, ROWS)}),
            "domain_benchmark": self._add(
                "domain_benchmark", made, {}, {"benchmark.json": json.dumps(tasks), "facts.jsonl": lines}
            ),
        }

    def _release(
        self, number: int, corpus: InputRef, shards: InputRef, pairs: Mapping[str, InputRef], tokens: int
    ) -> None:
        told = json.dumps({"rewinds": [], "skipped": [], "release": number})
        config = {"seed": number, "model": None, "settings": {**SETTINGS, "tokens": tokens * EPOCHS}}
        base = self._add("m/base_checkpoint", {"token_shards": shards}, {}, {"training.json": told}, config)
        tuned = {"previous": base, "instructions": pairs["instructions"]}
        sft = self._add("m/sft_checkpoint", tuned, {}, {"training.json": told}, {"settings": {"epochs": 3.0}})
        self._add("m/release", {"checkpoint": sft, "corpus": corpus, **pairs}, {}, {"manifest.json": told})

    def _add(
        self, key: str, inputs: Mapping[str, InputRef], tables: Mapping[str, pa.Table],
        texts: Mapping[str, str] | None = None, config: Mapping[str, Any] | None = None,
    ) -> InputRef:  # fmt: skip
        staging = self.root / "staging"
        (staging / "content").mkdir(parents=True)
        for name, table in tables.items():
            pq.write_table(table, staging / "content" / f"{name}.parquet", compression="zstd", row_group_size=MOST_ROWS)
        for name, text in (texts or {}).items():
            (staging / "content" / name).write_text(text)
        files = list_files(staging / "content")
        identity = Identity(key=key, inputs=inputs, config=config or {}, code_version="0" * 64, numerics=None)
        record = Record(
            digest=content_digest(files), fingerprint=identity.fingerprint(), identity=identity,
            report=Report(counts={}),
            files={name: FileEntry.model_validate(entry) for name, entry in files.items()},
        )  # fmt: skip
        self.store.folder(key).mkdir(parents=True, exist_ok=True)
        self.store.commit(staging, record)
        self.store.point(key, record.digest)
        return InputRef(key=key, digest=record.digest)

    def _new(self, count: int) -> Any:
        return np.frombuffer(self.draw.bytes(32 * count), np.uint8).reshape(count, 32).copy()


def _texts(digests: Any) -> pa.Array:
    """Digests of 32 bytes in hexadecimal."""
    text = digests.tobytes().hex().encode()
    offsets = np.arange(0, len(text) + 1, 64, dtype=np.int32)
    return pa.Array.from_buffers(pa.string(), len(digests), [None, pa.py_buffer(offsets), pa.py_buffer(text)])


def _same(value: str, count: int) -> pa.Array:
    return pa.array([value]).take(pa.array(np.zeros(count, np.int64)))
