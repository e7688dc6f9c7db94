"""The guard skips what is no number or stands far out, and remembers all it decided."""

import json
import math
import random

from forge_dagster.training.guard import MOST_SKIPPED, WINDOW, Guard


def _seen(count: int) -> Guard:
    chance, guard = random.Random(3), Guard(6.0)
    for step in range(count):
        assert guard.judge(step, 3 + chance.gauss(0, 0.1), 1 + chance.gauss(0, 0.05)) == "taken"
    return guard


def test_a_spike_is_judged_by_what_came_before() -> None:
    guard = _seen(WINDOW)
    assert guard.judge(128, 3.2, 1.0) == "taken"
    assert guard.judge(129, 5.0, 1.0) == "spike"
    assert guard.judge(130, 3.0, 2.5) == "spike"
    assert guard.judge(131, math.nan, 1.0) == "not finite"
    assert guard.judge(132, 3.0, math.inf) == "not finite"
    assert guard.skipped == [129, 130, 131, 132]
    assert len(guard.losses) == WINDOW


def test_nothing_stands_out_before_half_a_window() -> None:
    assert _seen(WINDOW // 2 - 1).judge(63, 100.0, 1.0) == "taken"
    assert _seen(WINDOW // 2).judge(64, 100.0, 1.0) == "spike"


def test_a_lasting_change_of_level_is_taken_for_the_new_level() -> None:
    guard = _seen(WINDOW)
    verdicts = [guard.judge(128 + step, 4.5, 1.0) for step in range(20)]
    assert verdicts[0] == "spike"
    assert verdicts[-1] == "taken"


def test_old_skips_are_forgiven() -> None:
    guard = Guard(6.0)
    for step in range(MOST_SKIPPED + 1):
        guard.judge(step * WINDOW, math.nan, 1.0)
        assert not guard.must_rewind(step * WINDOW)


def test_it_comes_back_from_json_as_it_was() -> None:
    guard = _seen(100)
    guard.anchor(0)
    guard.anchor(50)
    guard.anchor(100)
    for step in range(100, 106):
        guard.judge(step, math.nan, 1.0)
    assert guard.anchors == [50, 100]
    assert guard.must_rewind(105)
    assert guard.rewind(105) == 50
    assert (guard.rewinds, guard.anchors, guard.losses) == ([[106, 50]], [50], [])
    assert guard.updates(120) == 120 - 56
    assert Guard(6.0, **json.loads(json.dumps(guard.state()))) == guard
