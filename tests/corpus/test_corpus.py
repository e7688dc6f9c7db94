"""The corpus holds the training text and nothing of the benchmark that asks for generalisation."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus import corpus
from forge_dagster.corpus.decontaminate import Forbidden, forbid_benchmark, forbid_items, grams
from forge_dagster.corpus.signature import sign
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


def forbidden_of(folder: Path) -> Forbidden:
    found = Forbidden()
    forbid_benchmark(found, folder)
    return found


def choice(query: str, right: str) -> dict[str, Any]:
    return {"query": query, "choices": ["wrong", right], "gold": 1}


def test_thirteen_words_of_question_and_right_answer_contaminate(tmp_path: Path):
    forbidden = forbidden_of(benchmark(tmp_path, {"next": ("generalisation", [choice(LONG[:40], LONG[40:])])}))
    said = LONG.split()
    assert forbidden.found_in("Before. " + ", ".join(said[1:14]).upper() + "! After.") == "next"
    assert forbidden.found_in(" ".join(said[1:13])) is None
    assert forbidden.found_in("") is None


def test_wrong_choices_and_knowledge_contaminate_nothing(tmp_path: Path):
    wrong = {"query": "q", "choices": [LONG, "right"], "gold": 1}
    tasks = {"facts": ("knowledge", [choice(LONG, "x")]), "next": ("generalisation", [wrong])}
    assert forbidden_of(benchmark(tmp_path, tasks)).found_in(LONG) is None


def test_an_item_of_eight_to_twelve_words_is_looked_for_as_a_whole(tmp_path: Path):
    items = [{"question": "one two three four five six", "answer": "seven eight"}, {"question": "ten", "answer": "x"}]
    forbidden = forbidden_of(benchmark(tmp_path, {"asked": ("generalisation", items)}))
    assert forbidden.found_in(LONG) == "asked"
    assert forbidden.found_in("one two three four five six seven nine ten") is None


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "parquet"])
def test_any_benchmark_file_is_forbidden_whatever_its_fields_are_called(kind: str, tmp_path: Path):
    table = pa.table({"passage": [LONG, "short"], "label": [1, 0]})
    file = tmp_path / f"items.{kind}"
    match kind:
        case "parquet":
            pq.write_table(table, file)
        case "csv":
            pa.csv.write_csv(table, file)
        case "json":
            file.write_text(json.dumps(table.to_pylist()))
        case _:
            file.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    forbidden = Forbidden()
    forbid_items(forbidden, file, "passages")
    assert forbidden.found_in(f"Before, {LONG} and after.") == "passages"
    assert forbidden.found_in("short") is None


def test_a_benchmark_that_cannot_be_read_is_refused(tmp_path: Path):
    (tmp_path / "items.jsonl").write_text("{no json\n")
    with pytest.raises(DataError, match=r"items.jsonl.*\nRule: .*\nMend: "):
        forbid_items(Forbidden(), tmp_path / "items.jsonl", "x")


def test_signatures_point_at_every_document_that_holds_an_item(prose: Callable):
    forbidden = Forbidden()
    forbidden.add(LONG, "next")
    forbidden.add("eight words are enough to be an item", "next")
    dirty = [
        f"{prose(seed)} {LONG if seed % 2 else 'Eight words are enough, to be an item'} {prose(seed + 99)}"
        for seed in range(20)
    ]
    clean = [prose(seed) for seed in range(200, 300)]
    suspects = forbidden.suspects(pa.array([sign(text).shingles for text in dirty + clean]))
    assert all(suspects[: len(dirty)])
    assert sum(suspects[len(dirty) :]) < 5, "few others are looked at"
    long = " ".join(f"w{number}" for number in range(9000))
    assert forbidden.suspects(pa.array([sign(long).shingles, sign("").shingles])).tolist() == [True, False]
    assert not Forbidden().suspects(pa.array([sign(dirty[0]).shingles])).any(), "nothing is forbidden"


WORDS = st.lists(st.sampled_from(["pump", "valve", "lamp", "office"]), max_size=30).map(" ".join)


@given(st.lists(WORDS, max_size=6), st.lists(WORDS, max_size=12))
def test_no_document_with_an_item_is_passed_over(items: list[str], texts: list[str]):
    forbidden = Forbidden()
    for number, item in enumerate(items):
        forbidden.add(item, f"task-{number}")
    suspects = forbidden.suspects(pa.array([sign(text).shingles for text in texts], pa.binary())).tolist()
    for text, suspect in zip(texts, suspects, strict=True):
        found = words(text)
        expected = {
            size: {" ".join(found[at : at + size]) for at in range(len(found) - size + 1)} for size in range(8, 14)
        }
        held = any(
            gram in expected[min(13, len(words(item)))]
            for item in items
            if len(words(item)) >= 8
            for gram in grams(words(item), min(13, len(words(item))))
        )
        assert (forbidden.found_in(text) is not None) == held
        assert suspect or not held


def test_items_of_evals_leave_the_training_text(hop: Callable, inputs: dict[str, Path], tmp_path: Path, rows: Callable):
    split = rows(inputs["document_split"] / "split.parquet")
    path = max(row["path"] for row in split if row["split"] == "train")
    text = next(
        row["text"] for row in rows(inputs["clean_documents/notes"] / "documents.parquet") if row["path"] == path
    )
    (tmp_path / "quiz.jsonl").write_text(json.dumps({"stem": text[40:300]}) + "\n")
    out = hop("corpus", corpus.STAGE, {**inputs, "evals/quiz.jsonl": tmp_path / "quiz.jsonl"}, NoConfig())
    assert {row["path"]: row["reason"] for row in rows(out / "dispositions.parquet")}[path] == "contaminated:quiz"


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
