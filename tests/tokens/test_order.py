"""The reading order is a pure function of (seed, step) and reads every token once an epoch."""

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.tokens.order import Order, permutation

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=30).map(np.array)


def _order(lengths: np.ndarray, *, seed: int = 3, sequence_length: int = 16, rows: int = 2) -> Order:
    return Order(seed, lengths, sequence_length, rows)


@given(lengths=LENGTHS, sequence_length=st.integers(1, 50), epochs=st.integers(1, 3))
def test_every_token_is_read_once_an_epoch(lengths: np.ndarray, sequence_length: int, epochs: int) -> None:
    order = _order(lengths, sequence_length=sequence_length)
    wanted, seen = int(lengths.sum()) * epochs, Counter()
    for row in range(-(-wanted // sequence_length)):
        spans = order.row(row)
        assert sum(span.length for span in spans) == sequence_length
        for span in spans:
            assert span.start >= 0
            assert 0 < span.length <= lengths[span.document] - span.start
            for token in range(span.start, span.start + span.length):
                if wanted:
                    seen[span.document, token] += 1
                    wanted -= 1
    assert set(seen.values()) == {epochs}
    assert len(seen) == lengths.sum()


@given(lengths=LENGTHS, steps=st.lists(st.integers(0, 200), min_size=1, max_size=8))
def test_a_step_is_the_same_whatever_was_asked_before(lengths: np.ndarray, steps: list[int]) -> None:
    asked = _order(lengths)
    assert [asked.batch(step) for step in steps] == [_order(lengths).batch(step) for step in steps]


def test_a_batch_is_its_rows() -> None:
    order = _order(np.array([30, 5, 17]), rows=3)
    assert order.batch(4) == [order.row(12), order.row(13), order.row(14)]


def test_seeds_and_epochs_shuffle_differently() -> None:
    orders = [tuple(permutation(seed, epoch, 50)) for seed in (0, 1, 2**31 - 1) for epoch in range(4)]
    assert len(set(orders)) == len(orders)
    for order in orders:
        assert sorted(order) == list(range(50))


def test_the_permutation_is_written_in_stone() -> None:
    """A change of these numbers breaks every record of which documents a step has seen."""
    assert permutation(20, 0, 8).tolist() == [2, 7, 1, 0, 4, 3, 5, 6]


@given(lengths=LENGTHS, seed=st.integers(0, 9), sequence_length=st.integers(1, 20), rows=st.integers(0, 20))
def test_the_rows_with_a_document_are_those_that_read_it(
    lengths: np.ndarray, seed: int, sequence_length: int, rows: int
) -> None:
    order = _order(lengths, seed=seed, sequence_length=sequence_length)
    read = [(row, span) for row in range(rows) for span in order.row(row)]
    for document in range(len(lengths)):
        pieces = [(row, span.length) for row, span in read if span.document == document]
        assert order.rows_with(document, rows) == pieces
