"""Runs of words that stand in training text: the index agrees with looking for them."""

from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus.signature import SHINGLE
from forge_dagster.evaluation.seen import Seen

TEXT = st.lists(st.sampled_from("abc"), max_size=30).map(" ".join)


def looked_for(texts: list[str], asked: str) -> int:
    """The longest run, by looking for every run in every text."""
    words = asked.split()
    runs = (
        size
        for size in range(len(words), SHINGLE - 1, -1)
        for start in range(len(words) - size + 1)
        if any(f" {' '.join(words[start : start + size])} " in f" {text} " for text in texts)
    )
    return next(runs, 0)


@given(st.lists(TEXT, max_size=4), TEXT)
def test_the_index_finds_the_longest_run(texts: list[str], asked: str):
    assert Seen(texts).longest_run(asked) == looked_for(texts, asked)


def test_case_and_signs_make_no_difference():
    seen = Seen(["Wear eye protection in the north hall, even at night."])
    assert seen.longest_run("NOTE: wear eye protection in the North Hall -- always") == 7
    assert seen.longest_run("eye protection in hall") == 0
