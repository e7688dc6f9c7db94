"""What the quality benchmark counts, and that the labels judged by hand are sound."""

import json

import pytest

from benchmarks._intervals import Count, wilson
from benchmarks._others import LABELS
from benchmarks._spans import compare, covered


def test_wilsons_interval():
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(81, 263) == pytest.approx((0.255, 0.366), abs=5e-4)  # Newcombe 1998, table I
    assert wilson(20, 20)[0] == pytest.approx(0.839, abs=1e-3)


def test_a_value_is_found_only_if_nothing_of_it_is_left():
    assert covered(("A", 2, 8), [("A", 5, 9), ("A", 0, 5)])
    assert not covered(("A", 2, 8), [("A", 0, 5), ("A", 6, 9)])


def test_spans_of_another_kind_are_a_miss_and_a_false_alarm():
    counts = compare([("EMAIL", 0, 4)], [("PHONE", 0, 4)], str)
    assert counts == {"EMAIL": Count(missed=1), "PHONE": Count(wrong=1)}


def test_what_no_reader_could_decide_counts_for_nothing():
    assert compare([("?", 0, 4)], [("PHONE", 0, 4)], str) == {}


def test_the_hand_judged_labels_hold_offsets_and_no_text():
    rows = [json.loads(line) for line in LABELS.read_text(encoding="utf-8").splitlines()]
    assert len(rows) >= 300
    for row in rows:
        assert set(row) == {"archive", "package", "version", "file", "sha256", "start", "end", "stratum", "spans"}
        assert len(row["sha256"]) == 64
        assert all(row["start"] <= start < end <= row["end"] for _, start, end in row["spans"])
