"""A model's own answers become preferences where a reward tells them apart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.errors import DataError
from forge_dagster.pairs.on_policy import Sampled, preferred

SAMPLES = st.lists(
    st.integers(1, 6).flatmap(
        lambda size: st.builds(
            Sampled,
            st.just("p"),
            st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=size, max_size=size),
            st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=size, max_size=size),
        )
    ),
    max_size=8,
)


@given(SAMPLES)
def test_pairs_differ_in_answer_and_reward_and_the_counts_add_up(samples: list[Sampled]):
    found, counts = preferred(samples, least_margin=0.5)
    assert all(pair.chosen != pair.rejected and pair.margin >= 0.5 for pair in found)
    assert counts["prompts"] == len(samples)
    assert counts["prompts"] == counts["pairs"] + counts["same_answer"] + counts["rewarded_alike"]
    assert counts["pairs"] == len(found)


def test_the_best_answer_is_chosen_over_the_worst():
    ((prompt, chosen, rejected, margin),), _ = preferred(
        [Sampled("p", ["b", "a", "c"], [0.5, 1.0, 0.0])], least_margin=1
    )
    assert (prompt, chosen, rejected, margin) == ("p", "a", "c", 1.0)


@pytest.mark.parametrize("rewards", [[1.0], [float("nan"), 1.0], [float("inf"), 0.0]])
def test_rewards_that_are_no_numbers_are_refused(rewards: list[float]):
    with pytest.raises(DataError, match="every answer has a reward that is a number"):
        preferred([Sampled("p", ["a", "b"], rewards)], least_margin=0.5)


def test_a_preference_needs_a_difference():
    with pytest.raises(DataError, match="least_margin = 0"):
        preferred([], least_margin=0)
