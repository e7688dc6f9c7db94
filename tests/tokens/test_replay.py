"""A training that goes on: replay has its share, no new document is read too often, and something is left to replay."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.errors import DataError
from forge_dagster.tokens.mixture import REPLAYED, judge, refuse_if_apart
from forge_dagster.tokens.reader import Documents
from forge_dagster.tokens.replay import new_share, realised_replay, replaying_order

LENGTHS = np.array([30, 5, 80, 17, 40, 9, 64, 21])


def documents(seen: list[bool]) -> Documents:
    return Documents(
        shards=(), shard=np.zeros(8, int), starts=LENGTHS, lengths=LENGTHS, sizes=LENGTHS,
        source=np.array([0, 0, 1, 1, 1, 0, 0, 1]), sources=("notes", "plant"), vocab_size=300, seen=np.array(seen),
    )  # fmt: skip


@given(
    seen=st.lists(st.booleans(), min_size=8, max_size=8).filter(any),
    replay=st.floats(0.1, 0.9),
    epochs=st.floats(0.5, 20),
    seed=st.integers(0, 2**31 - 1),
)
def test_replay_has_at_least_its_share_and_new_documents_their_epochs(
    seen: list[bool], replay: float, epochs: float, seed: int
) -> None:
    library, rows, length = documents(seen), 400, 16
    share = new_share(library, replay=replay, epochs=epochs, tokens=rows * length)
    order = replaying_order(library, share, seed=seed, sequence_length=length, rows=4)
    told = realised_replay(order, library, share, rows)
    assert told[REPLAYED]["realised"] >= replay - 0.02
    assert judge(told).blocking == (
        not judge(told).passed and abs(told[REPLAYED]["declared"] - told[REPLAYED]["realised"]) > 0.02
    )
    read, new = order.read(rows), ~np.array(seen)
    assert int(read.sum()) == rows * length
    assert int(read[new].sum()) <= epochs * int(LENGTHS[new].sum()) + 0.02 * rows * length
    assert sum(each["tokens"] for each in told["sources"].values()) == rows * length
    refuse_if_apart(told)


def test_without_a_new_document_everything_is_replayed() -> None:
    library = documents([True] * 8)
    share = new_share(library, replay=0.5, epochs=4, tokens=1024)
    assert share == 0
    order = replaying_order(library, share, seed=1, sequence_length=16, rows=4)
    assert realised_replay(order, library, share, 64)[REPLAYED]["realised"] == 1


def test_with_nothing_left_to_replay_it_is_refused() -> None:
    with pytest.raises(DataError, match="forge run --full"):
        replaying_order(documents([False] * 8), Fraction(1, 2), seed=1, sequence_length=16, rows=4)


def test_a_replayed_share_that_is_not_met_is_refused() -> None:
    library = documents([True, False] * 4)
    share = new_share(library, replay=0.5, epochs=100, tokens=16 * 400)
    told = realised_replay(replaying_order(library, share, seed=1, sequence_length=16, rows=4), library, share, 400)
    refuse_if_apart(told)
    told[REPLAYED]["realised"] -= 0.05
    with pytest.raises(DataError, match="replayed documents"):
        refuse_if_apart(told)


def test_a_short_training_may_miss_its_share_by_some_rows() -> None:
    library = documents([True, False] * 4)
    for seed in range(40):
        for rows in (3, 20, 80):
            share = new_share(library, replay=0.5, epochs=100, tokens=16 * rows)
            order = replaying_order(library, share, seed=seed, sequence_length=16, rows=rows)
            refuse_if_apart(realised_replay(order, library, share, rows))
