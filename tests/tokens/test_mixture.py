"""The mixture: declared shares are met, no source is read too often, and the order stays pure."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from forge_dagster.errors import DataError
from forge_dagster.tokens.mixture import Mixture, floor_sum, judge, reading_order, realised, refuse_if_apart
from forge_dagster.tokens.order import Order
from forge_dagster.tokens.reader import Documents

SOURCES = ("general", "notes", "plant")


def documents(lengths: list[int], source: list[int]) -> Documents:
    sizes = np.array(lengths)
    return Documents(
        shards=(), shard=np.zeros(len(sizes), int), starts=sizes, lengths=sizes, sizes=sizes,
        source=np.array(source), sources=SOURCES, vocab_size=300,
    )  # fmt: skip


def mixture(epochs: float = 1e9, **weights: float) -> Mixture:
    return Mixture.model_validate({"sources": {n: {"weight": w, "epochs": epochs} for n, w in weights.items()}})


LIBRARY = documents([30, 5, 80, 17, 40, 9, 64, 21], [0, 0, 1, 2, 2, 1, 0, 2])


def order_of(mix: Mixture, *, steps: int = 100, seed: int = 3, library: Documents = LIBRARY):
    return reading_order(library, mix, seed=seed, sequence_length=16, rows=4, steps=steps)


@given(st.integers(0, 60), st.integers(1, 50), st.integers(0, 200), st.integers(0, 200))
def test_floor_sum_is_the_sum(count: int, modulus: int, factor: int, offset: int) -> None:
    assert floor_sum(count, modulus, factor, offset) == sum((factor * k + offset) // modulus for k in range(count))


@given(
    weights=st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
    seed=st.integers(0, 2**31 - 1),
    steps=st.lists(st.integers(0, 10**7), min_size=1, max_size=5),
)
def test_a_step_is_the_same_whatever_was_asked_before(weights: list[float], seed: int, steps: list[int]) -> None:
    mix = mixture(**dict(zip(SOURCES, weights, strict=True)))
    asked = order_of(mix, seed=seed)
    assert [asked.batch(step) for step in steps] == [order_of(mix, seed=seed).batch(step) for step in steps]


@settings(deadline=None, max_examples=30)
@given(weights=st.lists(st.floats(0.05, 1), min_size=3, max_size=3), seed=st.integers(0, 2**31 - 1))
def test_each_source_is_read_in_its_own_order_without_a_gap(weights: list[float], seed: int) -> None:
    """The rows of a source are the rows 0, 1, 2, ... of an Order over that source alone, at its share of all rows."""
    mix = mixture(**dict(zip(SOURCES, weights, strict=True)))
    order, seen = order_of(mix, seed=seed), {0: 0, 1: 0, 2: 0}
    for row in range(300):
        spans = order.row(row)
        (source,) = {int(LIBRARY.source[span.document]) for span in spans}
        members = LIBRARY.of_source(SOURCES[source])
        own = Order(seed, LIBRARY.lengths[members], 16, 4).row(seen[source])
        assert [(members[span.document], span.start, span.length) for span in own] == [tuple(span) for span in spans]
        seen[source] += 1
    for number, name in enumerate(SOURCES):
        assert abs(seen[number] / 300 - float(mix.shares()[name])) < 0.02
        assert order.rows_before(number, 300) == seen[number]


@settings(deadline=None, max_examples=40)
@given(
    weights=st.none() | st.lists(st.floats(0.05, 1), min_size=3, max_size=3),
    seed=st.integers(0, 2**31 - 1),
    steps=st.integers(0, 40),
)
def test_what_was_read_is_what_the_steps_read(weights: list[float] | None, seed: int, steps: int) -> None:
    mix = weights and mixture(**dict(zip(SOURCES, weights, strict=True)))
    order = reading_order(LIBRARY, mix or None, seed=seed, sequence_length=16, rows=4, steps=steps)
    counted = np.zeros(len(LIBRARY.lengths), int)
    for step in range(steps):
        for span in (span for row in order.batch(step) for span in row):
            counted[span.document] += span.length
    assert order.read(steps * 4).tolist() == counted.tolist()


def test_the_mixed_order_is_written_in_stone() -> None:
    """A change of these numbers breaks every record of which documents a step has seen."""
    batch = order_of(mixture(general=2, plant=1)).batch(5)
    assert batch == [[(6, 10, 16)], [(6, 26, 16)], [(3, 13, 4), (4, 0, 12)], [(6, 42, 16)]]


def test_shares_are_realised_and_a_source_that_is_not_named_is_not_read() -> None:
    mix = mixture(general=3, plant=1)
    told = realised(order_of(mix), LIBRARY, mix, 400)
    assert told["sources"]["notes"] == {"declared": 0.0, "realised": 0.0, "tokens": 0}
    assert told["sources"]["general"]["realised"] == pytest.approx(0.75, abs=0.005)
    assert sum(row["tokens"] for row in told["sources"].values()) == 100 * 4 * 16
    assert judge(told).passed
    refuse_if_apart(told)


def test_too_few_rows_for_a_share_are_refused_before_training() -> None:
    mix = mixture(general=0.97, plant=0.03)
    told = realised(order_of(mix, steps=1), LIBRARY, mix, 4)
    assert not judge(told).passed
    with pytest.raises(DataError, match=r"'plant'.*declared.*0.03"):
        refuse_if_apart(told)


def test_without_a_mixture_the_order_is_as_before_and_its_shares_only_reported() -> None:
    order = reading_order(LIBRARY, None, seed=3, sequence_length=16, rows=4, steps=9)
    assert order.batch(2) == Order(3, LIBRARY.lengths, 16, 4).batch(2)
    told = realised(order, LIBRARY, None, 1)
    assert not told["declared_in_recipe"]
    assert not judge(told).blocking
    refuse_if_apart(told)


def test_a_source_is_not_read_more_often_than_its_epochs() -> None:
    mix = mixture(epochs=2.0, general=1, plant=1)
    with pytest.raises(DataError, match=r"source general: its share is 320 tokens, 3\.23 times its 99.*\n.*epochs = 2"):
        order_of(mix, steps=10)
    order_of(mix, steps=4)


def test_a_source_without_documents_is_named() -> None:
    library = documents([30, 5], [0, 2])
    with pytest.raises(DataError, match="source notes of the mixture has no training document"):
        order_of(mixture(general=1, notes=1), library=library)


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ({"a": {"weight": 0, "epochs": 1}, "b": {"weight": 0, "epochs": 1}}, "weights of a, b sum to 0"),
        ({}, "at least 1"),
        ({"a": {"weight": -1, "epochs": 1}}, "greater than or equal to 0"),
        ({"a": {"weight": float("nan"), "epochs": 1}}, "finite"),
        ({"a": {"weight": float("inf"), "epochs": 1}}, "finite"),
        ({"a": {"weight": 1, "epochs": 0}}, "greater than 0"),
        ({"a": {"weight": 1}}, "epochs"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused(sources: dict, expected: str) -> None:
    with pytest.raises(ValidationError, match=expected):
        Mixture.model_validate({"sources": sources})


def test_the_index_tells_each_documents_source(shards_folder: Path, corpus: Path) -> None:
    import pyarrow.parquet as pq

    from forge_dagster.tokens.reader import open_documents

    found = open_documents(shards_folder, "train")
    assert found.sources == ("office", "plant")
    wanted = pq.read_table(corpus / "train.parquet").column("source").to_pylist()
    assert [found.sources[number] for number in found.source] == wanted
    office = found.only(found.of_source("office"))
    assert len(office.lengths) == wanted.count("office")
    first = int(found.of_source("office")[0])
    assert (office.window(0, 0, 9)[1] == found.window(first, 0, 9)[1]).all()
    assert len(found.of_source("nowhere")) == 0


@settings(max_examples=30)
@given(weights=st.lists(st.floats(0.05, 1), min_size=2, max_size=2), seed=st.integers(0, 2**31 - 1))
def test_the_rows_with_a_document_are_those_that_read_it(weights: list[float], seed: int) -> None:
    order = order_of(mixture(notes=weights[0], plant=weights[1]), seed=seed)
    read = [(row, span) for row in range(120) for span in order.row(row)]
    for document in range(len(LIBRARY.lengths)):
        pieces = [(row, span.length) for row, span in read if span.document == document]
        assert order.rows_with(document, 120) == pieces
        assert bool(pieces) == (SOURCES[LIBRARY.source[document]] != "general")
