"""Groups of bands, each by itself, find the duplicates that all bands together find."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus import near_duplicates, split
from forge_dagster.corpus.near_duplicates import NearDuplicatesConfig, band_groups
from forge_dagster.corpus.signature import BANDS
from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.stage import LocalContext, Report

JACCARD = 0.7
SPLIT = split.SplitConfig(seed=1, near_duplicate_jaccard=JACCARD, validation_share=0.2, test_share=0.2)


@given(st.integers(0, 2 * BANDS))
def test_every_band_is_in_one_group(count: int):
    groups = band_groups(count)
    assert [band for group in groups for band in group] == list(range(BANDS))
    assert len(groups) == min(max(count, 1), BANDS)
    assert {len(group) for group in groups} <= {BANDS // len(groups), BANDS // len(groups) + 1}


@pytest.fixture
def sources(tmp_path: Path, cleaned: Path, clean_folder: Callable, prose: Callable) -> dict[str, Path]:
    """The test documents, and a second source with copies, near copies and a chain of them."""
    base = prose(1, 60)
    words = base.split()
    chain = {f"chain-{cut}.txt": " ".join(words[12 * cut :]) for cut in range(5)}
    known = pq.read_table(cleaned / "documents.parquet").to_pylist()
    texts = {"copy.txt": known[0]["text"], "near.txt": known[1]["text"] + " One more remark.", **chain}
    return {"clean_documents/a": cleaned, "clean_documents/b": clean_folder(tmp_path / "b", "b", texts)}


def found(sources: Mapping[str, Path], count: int, root: Path, context: LocalContext) -> dict[str, Path]:
    made = {}
    for group in band_groups(count):
        folder = root / f"{count}-{group.start}"
        folder.mkdir()
        config = NearDuplicatesConfig(first_band=group.start, bands=len(group), near_duplicate_jaccard=JACCARD)
        near_duplicates.run(sources, config, folder, context)
        assert all(finding.passed for finding in near_duplicates.check(folder))
        made[f"near_duplicates/{group.start:02}"] = folder
    return made


@pytest.mark.parametrize("count", [1, 3, BANDS])
def test_the_split_is_the_same_however_the_bands_are_shared_out(
    count: int, sources: dict[str, Path], tmp_path: Path, context: LocalContext
):
    def divided(name: str, inputs: Mapping[str, Path]) -> tuple[bytes, Report]:
        out = tmp_path / name
        out.mkdir()
        report = split.run(inputs, SPLIT, out, context)
        return (out / "split.parquet").read_bytes(), report

    alone, report = divided("alone", sources)
    reasons = pq.read_table(tmp_path / "alone" / "split.parquet")["reason"].to_pylist()
    assert reasons.count("near-duplicate") > 4
    assert "exact-duplicate" in reasons
    assert divided("shared", {**sources, **found(sources, count, tmp_path, context)}) == (alone, report)


def test_pairs_of_other_documents_are_refused(sources: dict[str, Path], tmp_path: Path, context: LocalContext):
    stale = found({"clean_documents/a": sources["clean_documents/a"]}, 2, tmp_path, context)
    with pytest.raises(DataError, match="near_duplicates/00 is of other documents"):
        split.run({**sources, **stale}, SPLIT, tmp_path, context)


def test_one_that_is_told_to_stop_stops(
    sources: dict[str, Path], tmp_path: Path, context: LocalContext, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(LocalContext, "cancelled", lambda self: True)
    with pytest.raises(InterruptedRun, match="run the same command again"):
        found(sources, 1, tmp_path, context)


@pytest.mark.parametrize("pairs", [[("a", "b"), ("b", "c")], [("a", "b"), ("d", "b")]])
def test_a_text_that_stands_twice_fails_the_check(pairs: list[tuple[str, str]], tmp_path: Path):
    rows = [dict(zip(near_duplicates.PAIRS.names, pair, strict=True)) for pair in pairs]
    pq.write_table(pa.Table.from_pylist(rows, near_duplicates.PAIRS), tmp_path / near_duplicates.FILE)
    assert [finding.passed for finding in near_duplicates.check(tmp_path)] == [False]
