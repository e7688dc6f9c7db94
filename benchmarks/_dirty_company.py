"""The sample company with planted dirt, taken through the real hops: what each decided, beside the truth."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from forge_dagster.corpus import clean, corpus, snapshot, split
from forge_dagster.evaluation import domain_benchmark
from forge_dagster.evaluation.review import Review
from forge_dagster.sample.generate import generate
from forge_dagster.source import Cleaning, Labels
from forge_dagster.stage import FrozenModel, NoConfig, Stage, local_context

TERMS = Labels(
    owner="benchmark",
    licence="Apache-2.0",
    sensitivity="internal",
    legal_basis="none",
    jurisdiction="SE",
    permitted_use=("training",),
    audience=("everyone",),
    retention=None,
)
SPLIT = split.SplitConfig(seed=1, near_duplicate_jaccard=0.8, validation_share=0.05, test_share=0.03)
ITEMS = "benchmark"
"""Name of the planted benchmark."""
Row = dict[str, Any]


@dataclass(frozen=True)
class Company:
    """Truth and decisions by path."""

    labels: dict[str, Row]
    untouched: dict[str, str]
    """Parsed text, furniture included."""
    before: dict[str, str]
    """Text before redaction."""
    cleaned: dict[str, Row]
    dispositions: dict[str, Row]
    split: dict[str, Row]
    corpus: dict[str, Row]


def _rows(path: Path, columns: list[str] | None = None) -> dict[str, Row]:
    return {row["path"]: row for row in pq.read_table(path, columns=columns).to_pylist()}


def run(documents: int, seed: int, dirt: float, folder: Path) -> Company:
    """Generate the company in `folder` and take it through the hops."""
    generate(documents, seed, folder / "company", dirt=dirt)
    context = local_context(folder / "context")

    def hop(name: str, stage: Stage, inputs: dict[str, Path], config: FrozenModel) -> Path:
        out = folder / name
        out.mkdir()
        stage.run(inputs, config, out, context)
        return out

    def cleaned(name: str, raw: Path, **off: bool) -> Path:
        config = clean.CleanConfig(cleaning=Cleaning(**off), labels=TERMS, rank=0)
        return hop(name, clean.STAGE, {"raw_documents": raw}, config)

    place = snapshot.SnapshotConfig(
        source="dirty", kind="folder", settings={}, location=str(folder / "company" / "documents")
    )
    raw = hop("raw", snapshot.STAGE, {}, place)
    untouched = cleaned("untouched", raw, pii=False, secrets=False, quality=False, boilerplate=False)
    before = cleaned("before", raw, pii=False, secrets=False, quality=False)
    documents_ = cleaned("cleaned", raw)
    inputs = {"clean_documents/dirty": documents_}
    divided = hop("split", split.STAGE, inputs, SPLIT)
    inputs["document_split"] = divided
    asked = domain_benchmark.BenchmarkConfig(seed=1, most_items=200, review=Review())
    made = hop("benchmark", domain_benchmark.STAGE, inputs, asked)
    items = folder / "company" / f"{ITEMS}.jsonl"
    trained = hop(
        "corpus", corpus.STAGE, {**inputs, "domain_benchmark": made, f"evals/{items.name}": items}, NoConfig()
    )
    lines = (folder / "company" / "labels.jsonl").read_text(encoding="utf-8").splitlines()
    text = ["path", "text"]
    return Company(
        labels={label["path"]: label for label in map(json.loads, lines)},
        untouched={path: row["text"] for path, row in _rows(untouched / "documents.parquet", text).items()},
        before={path: row["text"] for path, row in _rows(before / "documents.parquet", text).items()},
        cleaned=_rows(documents_ / "documents.parquet", ["path", "language", "redactions"]),
        dispositions=_rows(documents_ / "dispositions.parquet"),
        split=_rows(divided / "split.parquet"),
        corpus=_rows(trained / "dispositions.parquet"),
    )
