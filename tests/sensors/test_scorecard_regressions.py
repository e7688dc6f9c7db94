"""A new scorecard is asked for once; people are told of failed gates and of metrics that are worse, in figures."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
import yaml
from release_case import Candidate

from forge_dagster.automation import Sensor
from forge_dagster.evaluation.card import read_card
from forge_dagster.evaluation.comparison import Compared
from forge_dagster.home import PROJECT, Home
from forge_dagster.provenance.store import ArtifactStore
from sensors.scorecard_regressions import notice_of, scorecard_regressions_sensor


@pytest.fixture
def point(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Move the current scorecard of the one recipe to a digest."""
    (tmp_path / "recipes").mkdir()
    recipe = yaml.safe_load((PROJECT / "recipes" / "tiny-dense.yaml").read_text()) | {"name": "mine"}
    (tmp_path / "recipes" / "mine.yaml").write_text(yaml.safe_dump(recipe))
    monkeypatch.setenv("FORGE_RECIPES", str(tmp_path / "recipes"))
    return lambda digest: ArtifactStore(home.artifacts).point("mine/scorecard", digest)


def tick(cursor: str | None) -> tuple[list[str], str]:
    sensor = scorecard_regressions_sensor(Sensor(every_seconds=60))
    found = sensor.evaluate_tick(dg.build_sensor_context(cursor=cursor))
    return [request.run_key for request in found.run_requests], str(found.cursor)


def test_each_new_scorecard_is_asked_for_once(point: Callable[[str], None]):
    old, new = "a" * 64, "b" * 64
    point(old)
    asked, start = tick(None)
    assert asked == [], "what stood before the sensor was on is no news"
    point(new)
    asked, cursor = tick(start)
    assert asked == [f"mine/scorecard@{new}"]
    assert tick(start)[0] == asked
    assert tick(cursor)[0] == []


def test_a_first_scorecard_is_news(point: Callable[[str], None]):
    _, start = tick(None)
    point("a" * 64)
    assert tick(start)[0] == [f"mine/scorecard@{'a' * 64}"]


def test_a_passing_card_is_told_to_nobody(candidate: Candidate):
    card = read_card(candidate.inputs["scorecard"])
    assert notice_of("small", "d", card, []) is None


def test_failed_gates_and_worse_metrics_are_told_in_figures(candidate: Candidate):
    card = read_card(candidate.inputs["scorecard"])
    failed = card.gates[0].model_copy(update={"outcome": "failed", "value": 0.5})
    worse = Compared(
        metric="answers.correct", value=0.41, other=0.59, paired=None, p_value=0.001, adjusted=0.002,
        noise_floor=None, seen="worse",
    )  # fmt: skip
    notice = notice_of("small", "d", card.model_copy(update={"gates": (failed,)}), [worse])
    assert notice is not None
    assert notice.subject == "forge: small: 1 gates failed, 1 metrics worse than the model that serves"
    assert notice.facts["gate facts_seen.acc minimum 0.8"] == "failed at 0.5"
    assert notice.facts["worse answers.correct"] == "0.41, the model that serves 0.59"
