"""Warm-up, stable, decay."""

from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.training.schedule import warmup_stable_decay


@given(steps=st.integers(1, 500), warmup=st.floats(0, 0.5), decay=st.floats(0, 0.5))
def test_it_rises_stays_and_falls_and_never_stops_learning(steps: int, warmup: float, decay: float) -> None:
    shares = [warmup_stable_decay(step, steps, warmup_share=warmup, decay_share=decay) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    peak = max(shares)
    top = shares.index(peak)
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)


def test_the_flat_part_is_the_peak() -> None:
    shares = [warmup_stable_decay(step, 100, warmup_share=0.1, decay_share=0.5) for step in range(100)]
    assert shares[0] == 0.1
    assert shares[9:51] == [1.0] * 42
    assert shares[99] == 0.02
