"""Tallies add up, and a table of rows may be empty."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus.dispositions import DISPOSITIONS, KINDS, DispositionWriter, Tally

NOTED = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(["", "too-short", "unsupported-format:x"])))


@given(NOTED)
def test_every_row_is_counted_once(noted: list[tuple[str, str]]):
    tally = Tally()
    rows = [{"disposition": disposition, "reason": reason} for disposition, reason in noted]
    for part in (rows[: len(rows) // 3], rows[len(rows) // 3 :]):
        tally.add(pa.Table.from_pylist(part, DISPOSITIONS))
    assert sum(tally.counts[kind] for kind in KINDS) == len(noted)
    reasons = sum(count for name, count in tally.counts.items() if "/" in name)
    assert reasons == sum(bool(reason) for _, reason in noted)


def test_a_disposition_is_one_of_three():
    with pytest.raises(AssertionError, match="lost"):
        Tally().add(pa.Table.from_pylist([{"disposition": "lost", "reason": ""}], DISPOSITIONS))


def test_an_empty_table_has_its_schema(tmp_path: Path):
    with DispositionWriter(tmp_path / "d.parquet"):
        pass
    assert pq.read_table(tmp_path / "d.parquet").schema == DISPOSITIONS
