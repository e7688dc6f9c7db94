"""A home with one small release and its whole chain, made without training: for bundles, their tests and their cost."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.corpus.signature import sign
from forge_dagster.evaluation import evidence
from forge_dagster.home import Home
from forge_dagster.provenance.files import content_digest, list_files
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.record import FileEntry, Identity, InputRef, Record
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.stage import Report

KEY = "small/release"
TERMS = {
    "title": "t", "language": "en", "owner": "the plant", "licence": "internal", "sensitivity": "internal",
    "legal_basis": "contract", "jurisdiction": "EU", "permitted_use": ["training"], "audience": ["everyone"],
    "retention": None,
}  # fmt: skip
LABEL: dict[str, Any] = {
    "sensitivity": "internal", "licences": ["internal"], "audience": ["everyone"], "permitted_use": ["training"],
    "jurisdictions": ["EU"], "retention": None, "forced_by": {},
}  # fmt: skip
LENGTH = 100  # tokens of a document
SETTINGS = {
    "sequence_length": 50, "batch_tokens": 100, "warmup_share": 0.1, "decay_share": 0.5, "muon_lr": 0.02,
    "embedding_lr": 0.1, "head_lr": 0.02, "norm_lr": 0.01, "router_lr": 0.01, "muon_momentum": 0.9,
    "weight_decay": 0.0, "clip_norm": 1.0, "spike_sigmas": 6.0, "rewind_steps": 50, "validation_tokens": 10_000,
}  # fmt: skip
EPOCHS = 2
RUN = {
    "run": "r", "actor": "schedule:monthly_retrain", "actor_kind": "schedule", "begun": "2026-01-01T00:00:00+00:00",
    "seconds": 1.5, "commit": "c" * 40, "changes": None, "environment": "e" * 64, "lock": "f" * 64,
    "energy": {"processor_seconds": 3.0, "joules": 36.0, "method": "RAPL", "scope": "the whole machine"},
    "machine": {"node": "n", "system": "Linux", "processor": "x86_64", "model": "A Processor 3", "threads": 2,
                "memory_bytes": 8 << 30, "gpus": []},
}  # fmt: skip


def text_of(number: int) -> str:
    """Thirty words of the document of a number that no other has."""
    return " ".join(f"word{number}x{place}" for place in range(30))


def document_id(number: int) -> str:
    """Id of the document of a number."""
    return hashlib.sha256(b"%d" % number).hexdigest()


def small_release(
    home: Home,
    *,
    documents: int = 6,
    weights: int = 64,
    seed: int = 0,
    name: str = "doc",
    before: str | None = None,
    copies: int = 0,
    texts: Sequence[str] = (),
    model: Path | None = None,
) -> str:
    """Make a release of `weights` random-looking bytes in `home`; return its digest. The last document was dropped.

    With `before`, a release of this home, it was compared with that one and gone on from it. Of `copies` documents the
    same bytes stood in another file too. With `texts` the documents say these and can be traced; with `model`, a folder
    in Hugging Face's layout, the release has that model in place of the bytes.
    """
    documents = len(texts) or documents
    maker = _Maker(home)
    ids = [document_id(seed * 1_000_000 + number) for number in range(documents)]
    rows = [
        {"id": given, "source": "plant", "path": f"{name}-{n}.txt", "text": texts[n] if texts else text_of(n), **TERMS}
        for n, given in enumerate(ids)
    ]
    said = [{"path": row["path"], "id": row["id"], "disposition": "kept", "reason": ""} for row in rows]
    gone = {"disposition": "dropped", "reason": "superseded"}
    split = [row | ({"split": "train"} if n < documents - 1 else {"split": "", **gone}) for n, row in enumerate(said)]
    split = [row | {"source": "plant", "cluster": ids[min(n, documents - 2)]} for n, row in enumerate(split)]
    again = [{**said[n], "path": f"again-{n}.txt"} for n in range(copies)]
    once = {"source": "plant", "split": "", "disposition": "dropped", "reason": "exact-duplicate"}
    split += [row | once | {"cluster": row["id"]} for row in again]
    counts = {"kept": documents + copies, "dropped": 0, "quarantined": 0}
    maker.put("raw_documents/plant", {"dispositions.parquet": said + again}, {}, counts)
    found: dict[str, list[int]] = {"redactions": []}
    cleaned = [row | found for row in [*rows, *(rows[n] | {"path": row["path"]} for n, row in enumerate(again))]]
    signed = [{"id": row["id"], "shingles": sign(str(row["text"])).shingles} for row in rows] if texts else []
    maker.put(
        "clean_documents/plant",
        {
            "dispositions.parquet": said + again,
            "documents.parquet": cleaned,
            **({"signatures.parquet": signed} if signed else {}),
        },
        {"raw_documents": "raw_documents/plant"},
    )
    maker.put("document_split", {"split.parquet": split}, {"clean_documents/plant": "clean_documents/plant"})
    maker.put(
        "corpus",
        {
            "dispositions.parquet": said[:-1],
            "train.parquet": rows[:-1],
            **{f"{side}.parquet": _table(rows[:1], None).slice(0, 0) for side in ("validation", "test")},
        },
        {"document_split": "document_split", **({"clean_documents/plant": "clean_documents/plant"} if texts else {})},
        {"train": documents - 1},
    )
    places = [
        {"document": given, "split": "train", "source": "plant", "shard": "train-00000.bin", "start": n * LENGTH,
         "length": LENGTH, "bytes": LENGTH * 4}
        for n, given in enumerate(ids[:-1])
    ]  # fmt: skip
    maker.put("token_shards/t", {"documents.parquet": places}, {"corpus": "corpus"})
    tokens = (documents - 1) * LENGTH * EPOCHS
    cost = {"tokens": tokens, "floating_point_operations": tokens * 60, "formula": "6 N"}
    folder = {"config.json": b"{}", "tokenizer.json": b"{}"}
    folder["model.safetensors"] = hashlib.shake_256(b"%d" % seed).digest(weights)
    if model is not None:
        folder = {path.name: path.read_bytes() for path in model.iterdir()}
    blob = folder["model.safetensors"]
    maker.put(
        "small/base_checkpoint",
        {"model.safetensors": blob, "training.json": b'{"skipped":[3],"rewinds":[]}',
         "cost.json": json.dumps(cost).encode()},
        {"token_shards": "token_shards/t"},
        {"tokens": tokens},
        {"seed": seed, "model": None, "settings": {**SETTINGS, "tokens": tokens}},
    )  # fmt: skip
    card, items = _scorecard(seed)
    files = {
        "scorecard.json": json.dumps(card).encode(), "items.parquet": items, "README.md": b"# small\n",
        **{f"model/{file}": content for file, content in folder.items()},
    }  # fmt: skip
    maker.put(
        "small/scorecard",
        {n: files[n] for n in ("scorecard.json", "items.parquet")},
        {"checkpoint": "small/base_checkpoint"},
    )
    manifest = _manifest(card, blob)
    files["manifest.json"] = json.dumps(manifest).encode()
    inputs = {"checkpoint": "small/base_checkpoint", "scorecard": "small/scorecard", "corpus": "corpus"}
    if before is not None:
        earlier = maker.store.records(KEY, before)[0].identity.inputs
        maker.more = {"incumbent": earlier["checkpoint"], "former/corpus/0": earlier["corpus"]}
    return maker.put(KEY, files, inputs, config={"recipe": manifest["recipe"]})


def _table(rows: list[dict[str, Any]], schema: pa.Schema | None) -> pa.Table:
    """A table whose column of days is one of text, though no row has a day."""
    table = pa.Table.from_pylist(rows, schema)
    at = table.schema.get_field_index("retention")
    return table if at < 0 else table.set_column(at, "retention", table["retention"].cast(pa.string()))


class _Maker:
    """Commits artifacts as a run does, without a stage."""

    def __init__(self, home: Home) -> None:
        self.store, self.ledger = ArtifactStore(home.artifacts), Ledger(home.ledger)
        self.more: dict[str, InputRef] = {}
        """Inputs beside those that are current."""

    def put(
        self,
        key: str,
        files: dict[str, Any],
        inputs: dict[str, str],
        counts: dict[str, int] | None = None,
        config: dict[str, Any] | None = None,
    ) -> str:
        """Write files (bytes, a table, or its rows), record, statement and CURRENT; return the digest."""
        staging = self.store.folder(key) / ".staging"
        for name, content in files.items():
            path = staging / "content" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, bytes):
                path.write_bytes(content)
            else:
                schema = evidence.ROWS if name == evidence.FILE else None
                pq.write_table(content if isinstance(content, pa.Table) else _table(content, schema), path)
        (staging / "beside").mkdir()
        (staging / "beside" / "run.json").write_text(json.dumps(RUN))
        listed = list_files(staging / "content")
        refs = {name: InputRef(key=source, digest=str(self.store.current(source))) for name, source in inputs.items()}
        refs |= self.more
        identity = Identity(key=key, inputs=refs, config=config or {}, code_version="0" * 64, numerics=None)
        record = Record(
            digest=content_digest(listed), fingerprint=identity.fingerprint(), identity=identity,
            report=Report(counts=counts or {}),
            files={name: FileEntry.model_validate(entry) for name, entry in listed.items()},
        )  # fmt: skip
        self.store.commit(staging, record)
        if staging.exists():
            shutil.rmtree(staging)
        stated = {"key": key, "digest": record.digest, "fingerprint": record.fingerprint}
        record_digest = hashlib.sha256(record.to_bytes()).hexdigest()
        self.ledger.append("artifact", {**stated, "record": record_digest, "run": "r", "actor": "user:test"})
        self.store.point(key, record.digest)
        self.ledger.append("current", {"key": key, "digest": record.digest, "previous": None, "run": "r"})
        return record.digest


def _scorecard(seed: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A card of one task of eight items on two checkpoints, and the results that it follows from."""
    right = {"untrained": 2, "base": 5 + seed % 3}
    items = [
        {"checkpoint": checkpoint, "task": "facts", "metric": "acc", "item": f"i{n}", "digest": "d", "cluster": f"c{n}",
         "value": float(n < count), "weight": 1.0}
        for checkpoint, count in right.items() for n in range(8)
    ]  # fmt: skip
    asked = {"digest": "d", "items": 8, "settings": {}, "settings_digest": "s",
             "metrics": {"acc": {"better": "higher", "aggregate": "mean", "chance": 0.25}}}  # fmt: skip
    scores = {
        checkpoint: {"facts.acc": {"value": count / 8, "stderr": _error(count), "n": 8, "noise": None, "settings": "s"}}
        for checkpoint, count in right.items()
    }
    card = {"version": 2, "checkpoints": scores, "tasks": {"facts": asked}, "passed": True}
    return {**card, "scored": {}, "evidence": {}, "environment": {}, "gates": []}, items


def _error(count: int) -> float:
    """Standard error of a share of eight."""
    share = count / 8
    return float((share * (1 - share) / 7) ** 0.5)


def _manifest(card: dict[str, Any], blob: bytes) -> dict[str, Any]:
    value = card["checkpoints"]["base"]["facts.acc"]["value"]
    verdict = {"metric": "facts.acc", "rule": "minimum", "value": value, "limit": 0.5, "outcome": "passed",
               "reason": f"facts.acc = {value}, must be at least 0.5 (minimum)", "paired": None}  # fmt: skip
    return {
        "version": 2,
        "recipe": {
            "name": "small", "description": "A model for a test.", "seed": 1, "teachers": [], "weights": None,
            "model": {"architecture": "qwen3"}, "stages": [{"stage": "base"}],
            "gates": [{"metric": "facts.acc", "minimum": 0.5}],
        },
        "gates": [verdict],
        "overrides": [],
        "data": {"pairs": [], "label": LABEL},
        "files": {"model/model.safetensors": hashlib.sha256(blob).hexdigest()},
    }  # fmt: skip
