"""The split keeps one of each, never divides a cluster, and does not move with the company a document keeps."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus import split
from forge_dagster.errors import DataError
from forge_dagster.stage import LocalContext

CONFIG = split.SplitConfig(seed=1, near_duplicate_jaccard=0.7, validation_share=0.2, test_share=0.2)


def test_duplicates_are_dropped_by_name_and_the_rest_is_sided(divided: Path, cleaned: Path, rows: Callable):
    found = {row["path"]: row for row in rows(divided / "split.parquet")}
    assert sorted(found) == sorted(row["path"] for row in rows(cleaned / "documents.parquet"))
    assert {path: row["reason"] for path, row in found.items() if row["disposition"] == "dropped"} == {
        "note-03.txt": "near-duplicate",
        "note-04.txt": "near-duplicate",
        "sub/copy-3.txt": "near-duplicate",
        "sub/copy-4.txt": "near-duplicate",
    }
    assert found["note-03.txt"]["cluster"] == found["sub/near-3.md"]["id"], "the longest is kept"
    kept = [row for row in found.values() if row["disposition"] == "kept"]
    assert set(Counter(row["split"] for row in kept)) == {"train", "validation", "test"}
    assert all(row["split"] == "" for row in found.values() if row["disposition"] == "dropped")
    assert all(finding.passed for finding in split.STAGE.check(divided))


def test_equal_texts_keep_the_smallest_path_over_all_sources(
    clean_folder: Callable, tmp_path: Path, context: LocalContext, rows: Callable, prose: Callable
):
    texts = {f"{number}.txt": prose(number) for number in range(12)}
    first = clean_folder(tmp_path / "b", "b", texts)
    second = clean_folder(tmp_path / "a", "a", {"z.txt": texts["0.txt"]})
    out = tmp_path / "out"
    out.mkdir()
    split.run({"clean_documents/b": first, "clean_documents/a": second}, CONFIG, out, context)
    found = {(row["source"], row["path"]): row for row in rows(out / "split.parquet")}
    assert found["a", "z.txt"]["disposition"] == "kept"
    assert found["b", "0.txt"]["reason"] == "exact-duplicate"


def test_other_documents_do_not_move_a_document(
    clean_folder: Callable, tmp_path: Path, context: LocalContext, rows: Callable, prose: Callable
):
    def sides(name: str, count: int) -> dict[str, str]:
        folder = clean_folder(tmp_path / name, "s", {f"{number:03}": prose(number) for number in range(count)})
        out = tmp_path / f"{name}-out"
        out.mkdir()
        split.run({"clean_documents/s": folder}, CONFIG, out, context)
        return {row["path"]: row["split"] for row in rows(out / "split.parquet")}

    few, many = sides("few", 40), sides("many", 80)
    assert {path: many[path] for path in few} == few


@given(
    st.lists(st.text(alphabet="0123456789abcdef", min_size=4, max_size=4), min_size=10, max_size=60, unique=True),
    st.integers(0, 5),
    st.randoms(use_true_random=False),
)
def test_sides_are_never_empty_and_independent_of_order(names: list[str], seed: int, draw):
    config = CONFIG.model_copy(update={"seed": seed, "validation_share": 0.02, "test_share": 0.02})
    found = split.sides(names, config)
    shuffled = names[:]
    draw.shuffle(shuffled)
    assert split.sides(shuffled, config) == found
    assert set(found) == set(names)
    assert set(found.values()) == {"train", "validation", "test"}


def test_shares_are_kept():
    names = [f"{number:064x}" for number in range(4000)]
    sizes = Counter(split.sides(names, CONFIG).values())
    assert 0.17 < sizes["validation"] / 4000 < 0.23
    assert 0.17 < sizes["test"] / 4000 < 0.23


def test_too_few_different_documents_are_refused(
    clean_folder: Callable, tmp_path: Path, context: LocalContext, prose: Callable
):
    same = clean_folder(tmp_path / "same", "s", {f"{number}.txt": prose(number % 9) for number in range(30)})
    with pytest.raises(DataError, match=r"30 clean documents, 9 of them different\nRule: at least 10 .*\nMend: add"):
        split.run({"clean_documents/s": same}, CONFIG, tmp_path, context)
