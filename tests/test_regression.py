"""Which changes explain a drop: the parts that are named, however the drop is spread, and what a budget leaves."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.regression import SMALLEST, Change, Corpora, Part, Seen, culprits

PER_SOURCE = 16


def changes_of(source: str) -> list[Change]:
    return [
        Change(source, f"{number:02}.md", f"{source}{number}", f"{source}{number}-new") for number in range(PER_SOURCE)
    ]


class Measured:
    """A drop that some changes cause, each its part of it; counts what is asked."""

    def __init__(self, causes: dict[Change, float], most: int = 1000) -> None:
        self.causes, self.most, self.asked = causes, most, 0

    def __call__(self, part: Part) -> Seen | None:
        if self.asked == self.most:
            return None
        self.asked += 1
        drop = sum(self.causes.get(change, 0.0) for change in part)
        return Seen(drop=drop, visible=drop > 0.1)


def search(measured: Measured, sources: list[Part]):
    whole = measured([change for part in sources for change in part])
    assert whole is not None
    return culprits(sources, whole, measured)


SOURCES = [changes_of(name) for name in "abcdefg"]


@given(st.integers(0, 6), st.integers(0, PER_SOURCE // SMALLEST - 1))
def test_the_documents_of_one_source_are_named(source: int, part: int):
    guilty = SOURCES[source][part * SMALLEST : (part + 1) * SMALLEST]
    found = search(Measured(dict.fromkeys(guilty, 0.05)), SOURCES)
    assert [culprit.sources for culprit in found] == [("abcdefg"[source],)]
    assert found[0].paths == tuple(change.path for change in guilty)
    assert found[0].drop == pytest.approx(0.4)


def test_two_sources_are_both_named_the_worse_first():
    causes = dict.fromkeys(SOURCES[1], 0.02) | dict.fromkeys(SOURCES[5], 0.05)
    found = search(Measured(causes), SOURCES)
    assert {culprit.sources for culprit in found} == {("b",), ("f",)}
    assert found[0].sources == ("f",)


def test_a_drop_that_no_source_makes_by_itself_is_named_of_all():
    found = search(Measured({part[0]: 0.02 for part in SOURCES}), SOURCES)
    assert len(found) == 1
    assert found[0].sources == tuple("abcdefg")


@pytest.mark.parametrize("most", [1, 2, 3, 5, 8])
def test_a_spent_budget_names_the_part_that_was_not_looked_into(most: int):
    measured = Measured(dict.fromkeys(SOURCES[3], 0.05), most)
    found = search(measured, SOURCES)
    assert measured.asked <= most
    assert all("d" in culprit.sources for culprit in found)
    assert found


def write(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    folder.mkdir()
    table = pa.Table.from_pylist([{"id": name, "source": source, "path": path} for name, source, path in rows])
    pq.write_table(table, folder / "train.parquet")
    return folder


def test_changes_are_made_one_by_one(tmp_path: Path):
    old = write(tmp_path / "old", [("1", "a", "same"), ("2", "a", "changed"), ("3", "b", "removed")])
    new = write(tmp_path / "new", [("1", "a", "same"), ("22", "a", "changed"), ("4", "b", "added")])
    corpora = Corpora(old, new)
    found = {change.path: change for change in corpora.changes}
    assert found == {
        "changed": Change("a", "changed", "2", "22"),
        "removed": Change("b", "removed", "3", None),
        "added": Change("b", "added", None, "4"),
    }
    assert {name: len(part) for name, part in corpora.by_source().items()} == {"a": 1, "b": 2}
    assert corpora.with_changes([])["id"].to_pylist() == ["1", "2", "3"]
    assert corpora.with_changes([found["changed"]])["id"].to_pylist() == ["1", "3", "22"]
    assert corpora.with_changes([found["removed"]])["id"].to_pylist() == ["1", "2"]
    assert sorted(corpora.with_changes(corpora.changes)["id"].to_pylist()) == ["1", "22", "4"]
