"""The corpus holds the training text and nothing of the benchmark that asks for generalisation."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from forge_dagster.corpus import corpus
from forge_dagster.corpus.decontaminate import benchmark_grams, contaminated_by
from forge_dagster.corpus.words import words
from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.stage import LocalContext, NoConfig

LONG = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"


def benchmark(folder: Path, tasks: Mapping[str, tuple[str, list[dict[str, Any]]]]) -> Path:
    """A benchmark of {name: (role, items)}."""
    (folder / "items").mkdir(parents=True)
    made = []
    for name, (role, items) in tasks.items():
        (folder / "items" / f"{name}.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
        made.append({"name": name, "role": role, "items": f"items/{name}.jsonl"})
    (folder / "benchmark.json").write_text(json.dumps({"version": 1, "tasks": made}))
    return folder


def choice(query: str, right: str) -> dict[str, Any]:
    return {"query": query, "choices": ["wrong", right], "gold": 1}


def test_thirteen_words_of_question_and_right_answer_contaminate(tmp_path: Path):
    forbidden = benchmark_grams(benchmark(tmp_path, {"next": ("generalisation", [choice(LONG[:40], LONG[40:])])}))
    said = LONG.split()
    assert contaminated_by("Before. " + ", ".join(said[1:14]).upper() + "! After.", forbidden) == "next"
    assert contaminated_by(" ".join(said[1:13]), forbidden) is None
    assert contaminated_by("", forbidden) is None


def test_wrong_choices_and_knowledge_contaminate_nothing(tmp_path: Path):
    wrong = {"query": "q", "choices": [LONG, "right"], "gold": 1}
    tasks = {"facts": ("knowledge", [choice(LONG, "x")]), "next": ("generalisation", [wrong])}
    assert contaminated_by(LONG, benchmark_grams(benchmark(tmp_path, tasks))) is None


def test_an_item_of_eight_to_twelve_words_is_looked_for_as_a_whole(tmp_path: Path):
    items = [{"question": "one two three four five six", "answer": "seven eight"}, {"question": "ten", "answer": "x"}]
    forbidden = benchmark_grams(benchmark(tmp_path, {"asked": ("generalisation", items)}))
    assert contaminated_by(LONG, forbidden) == "asked"
    assert contaminated_by("one two three four five six seven nine ten", forbidden) is None


@pytest.fixture
def inputs(divided: Path, cleaned: Path, tmp_path: Path, rows: Callable) -> dict[str, Path]:
    """Inputs whose benchmark asks for a sentence of one training document and one held-out document."""
    sides = {row["path"]: row["split"] for row in rows(divided / "split.parquet")}
    texts = {row["path"]: row["text"] for row in rows(cleaned / "documents.parquet")}
    of = {side: next(path for path in sorted(sides) if sides[path] == side) for side in ("train", "test")}
    items = [choice(" ".join(words(texts[path])[5:15]), " ".join(words(texts[path])[15:25])) for path in of.values()]
    made = benchmark(tmp_path / "benchmark", {"next": ("generalisation", items)})
    return {"document_split": divided, "clean_documents/notes": cleaned, "domain_benchmark": made}


def test_every_kept_document_is_in_the_corpus_or_dropped_by_name(
    hop: Callable, inputs: dict[str, Path], rows: Callable
):
    out = hop("corpus", corpus.STAGE, inputs, NoConfig())
    sides = {row["path"]: row["split"] for row in rows(inputs["document_split"] / "split.parquet") if row["split"]}
    dispositions = {row["path"]: (row["disposition"], row["reason"]) for row in rows(out / "dispositions.parquet")}
    assert set(dispositions) == set(sides)
    dropped = {path for path, (kind, _) in dispositions.items() if kind == "dropped"}
    contaminated = min(path for path in sides if sides[path] == "train")
    assert dropped == {contaminated}
    assert dispositions[contaminated] == ("dropped", "contaminated:next")
    for side in ("train", "validation", "test"):
        there = [row["path"] for row in rows(out / f"{side}.parquet")]
        assert there == sorted(path for path in sides if sides[path] == side and path not in dropped)
    assert all(finding.passed for finding in corpus.STAGE.check(out))


def test_the_rows_load_through_datasets(hop: Callable, inputs: dict[str, Path], tmp_path: Path):
    import datasets

    out = hop("corpus", corpus.STAGE, inputs, NoConfig())
    files = {side: str(out / f"{side}.parquet") for side in ("train", "validation", "test")}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path / "cache"))
    for side, file in files.items():
        assert loaded[side].num_rows == pq.read_metadata(file).num_rows
        assert loaded[side].column_names == corpus.TEXTS.names


def test_a_corpus_without_training_text_is_refused(
    inputs: dict[str, Path], tmp_path: Path, context: LocalContext, rows: Callable
):
    texts = [row["text"] for row in rows(inputs["clean_documents/notes"] / "documents.parquet")]
    items = [choice(" ".join(words(text)[:10]), " ".join(words(text)[10:20])) for text in texts]
    everything = benchmark(tmp_path / "all", {"next": ("generalisation", items)})
    with pytest.raises(DataError, match=r"none of them left to train on\nRule: .*\nMend: "):
        corpus.run({**inputs, "domain_benchmark": everything}, NoConfig(), tmp_path, context)


def test_a_stopped_run_says_how_to_go_on(inputs: dict[str, Path], tmp_path: Path, context: LocalContext):
    context.cancelled = lambda: True  # type: ignore[method-assign]
    with pytest.raises(InterruptedRun, match="run the same command again"):
        corpus.run(inputs, NoConfig(), tmp_path, context)
