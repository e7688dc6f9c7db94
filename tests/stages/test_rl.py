"""RL: it stops when answers collapse or the model runs away, and refuses rewards that teach nothing."""

import json
import math
from pathlib import Path

import pytest

from forge_dagster import rewards
from forge_dagster.errors import DataError, InterruptedRun, RecipeError
from forge_dagster.stages import rl
from forge_dagster.training.stop_rules import StopRules

NEVER = {"window": 2, "least_entropy": 0.0, "most_kl": 100.0}


@pytest.mark.parametrize("stage", ["rl", "rloo"])
def test_it_runs_to_its_end(stage: str, post, tmp_path: Path):
    out, report = post.run(stage, tmp_path)
    assert json.loads((out / "training.json").read_bytes()) == {"steps": 3, "stopped": None}
    assert report.counts["stopped_early"] == 0
    assert (report.counts["prompts"], report.counts["of_policies"]) == (6, 3)
    assert report.metrics["entropy"] > 0


@pytest.mark.parametrize(
    ("figure", "rules", "mend"),
    [
        ("entropy", {"least_entropy": 99.0}, {}),  # no answer varies that much
        ("kl", {"most_kl": 1e-6}, {"learning_rate": 0.05}),
    ],
)
def test_it_stops_when_a_mean_over_the_window_breaks_a_rule(figure, rules, mend, post, tmp_path: Path):
    out, report = post.run("rl", tmp_path, steps=8, stop=NEVER | rules, **mend)
    told = json.loads((out / "training.json").read_bytes())
    stopped = told["stopped"]
    assert stopped["figure"] == figure
    assert 2 <= stopped["after_step"] == told["steps"] == report.counts["steps"] < 8
    assert stopped["of"] == 8
    finding = rl.STAGE.check(out)[-1]
    assert (finding.name, finding.passed, finding.blocking) == ("training_ran_to_its_end", False, False)
    assert finding.observed["stopped"] == stopped


def test_a_window_averages_and_waits_until_it_is_full():
    rules = StopRules(window=3, least_entropy=0.5, most_kl=1.0)
    calm = {"entropy": 1.0, "kl": 0.1}
    assert rules.judge([{"entropy": 0.0, "kl": 9.0}] * 2) is None
    assert rules.judge([calm, calm, {"entropy": 0.1, "kl": 2.0}, {"loss": 1.0}]) is None
    assert rules.judge([calm, {"entropy": 0.1, "kl": 0.1}, {"entropy": 0.1, "kl": 0.1}])["figure"] == "entropy"
    assert rules.judge([calm, calm, {"entropy": 1.0, "kl": 4.0}])["mean"] == pytest.approx(1.4)


def test_a_stopped_training_stays_stopped_after_a_resume(post, digests, tmp_path: Path):
    rules = {"window": 4, "least_entropy": 99.0, "most_kl": 100.0}
    out, report = post.run("rl", tmp_path / "straight", steps=8, stop=rules)
    with pytest.raises(InterruptedRun):
        post.stop("rl", tmp_path / "stopped", after=2, steps=8, stop=rules)
    again, resumed = post.run("rl", tmp_path / "stopped", steps=8, stop=rules)
    assert (resumed, digests(again)) == (report, digests(out))


@pytest.mark.parametrize("stage", ["rl", "rloo"])
def test_rewards_that_never_differ_are_refused(stage: str, post, tmp_path: Path):
    with pytest.raises(DataError, match="rewarded alike"):
        post.run(stage, tmp_path, answer_form="never", steps=1)


@pytest.mark.parametrize("stage", ["rl", "rloo", "preference_online"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_reward_that_is_no_number_is_refused(stage: str, value: float, post, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(rewards, "reward", lambda text, **_: value)
    with pytest.raises(DataError, match=f"the reward of .* is {value}"):
        post.run(stage, tmp_path)


@pytest.mark.parametrize("stage", ["rl", "rloo", "preference_online"])
def test_a_prompt_without_room_for_an_answer_is_named(stage: str, post, tmp_path: Path):
    with pytest.raises(DataError, match="leaves room"):
        post.run(stage, tmp_path, max_new_tokens=124)


def test_no_rule_has_a_default(post):
    with pytest.raises(ValueError, match="stop"):
        rl.Settings.model_validate({k: v for k, v in post.job("rl").settings.model_dump().items() if k != "stop"})
    assert issubclass(RecipeError, Exception)
