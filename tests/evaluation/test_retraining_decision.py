"""What a decision measures: of a real model, on documents of now and of when it was trained."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.evaluation.retraining_decision import (
    FORMER_CORPUS,
    SERVING,
    SERVING_CORPUS,
    DecisionConfig,
    read_decision,
    run,
    stated,
)
from forge_dagster.evaluation.scorecard import ScorecardConfig
from forge_dagster.recipe import Gate
from forge_dagster.retraining import Hold, Past, Retrain, RetrainingPolicy, Use
from forge_dagster.stage import local_context
from forge_dagster.tokens import shards

NOTHING_SPENT = Past(
    trained=None, cooling_until=None, clock_was_set_back=False, spent_hours=0, frees_at=None, cost_hours=None
)
ASKS_NOTHING = {"new_tokens": None, "stale_facts": None, "drift": None, "failed_gates": False}
NO_USE = Use()
Inputs = dict[str, Path]


def altered(corpus: Path, out: Path, change: Callable[[str], str]) -> Path:
    """The corpus with other text in its training documents."""
    out.mkdir(parents=True)
    rows = pq.read_table(corpus / "train.parquet").to_pylist()
    for row in rows:
        row["text"] = change(row["text"])
        row["id"] = hashlib.sha256(row["text"].encode()).hexdigest()
    pq.write_table(pa.Table.from_pylist(rows), out / "train.parquet")
    pq.write_table(pq.read_table(corpus / "validation.parquet"), out / "validation.parquet")
    return out


def elsewhere(text: str) -> str:
    return text.replace("the office in Lisbon", "the office in Porto").replace(
        "the office in Oslo", "the office in Rome"
    )


@pytest.fixture
def now(artifacts: Inputs, tmp_path: Path) -> Inputs:
    """The documents of the artifacts; the model that serves was trained on those in which offices lay elsewhere."""
    then = altered(artifacts["corpus"], tmp_path / "then", elsewhere)
    kept = {name: path for name, path in artifacts.items() if not name.startswith("checkpoint/")}
    return {**kept, SERVING: artifacts["checkpoint/base"], SERVING_CORPUS: then}


@pytest.fixture
def decided(config_of: Callable[..., ScorecardConfig], tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Decide; return decision.json."""

    def make(
        inputs: Mapping[str, Path], past: Past = NOTHING_SPENT, gates: Any = (), use: Use = NO_USE, **policy: Any
    ) -> dict[str, Any]:
        out = tmp_path / f"out-{len(list(tmp_path.glob('out-*')))}"
        out.mkdir()
        scoring = config_of(**({"gates": gates} if gates else {}))
        config = DecisionConfig(
            policy=RetrainingPolicy(**{"name": "r", **ASKS_NOTHING, **policy}), scoring=scoring, past=past, use=use
        )
        run(inputs, config, out, local_context(tmp_path / "context"))
        assert read_decision(out).decision == stated(out)["decision"]
        return json.loads((out / "decision.json").read_bytes())

    return make


def test_facts_are_stale_where_the_model_prefers_what_was_said(now: Inputs, decided: Any, tmp_path: Path):
    found = decided(now)["measured"]
    assert found["changed_facts"] == 10, "half of twenty training documents name one of the two offices"
    forth = found["stale_facts"]
    assert found["new_tokens"] < found["tokens"]
    there, back = tmp_path / "shards", dict(now)
    there.mkdir()
    back |= {"corpus": now[SERVING_CORPUS], SERVING_CORPUS: now["corpus"], "token_shards": there}
    shards.run(
        {"corpus": back["corpus"], "tokenizer": now["tokenizer"]}, shards.ShardsConfig(), there, local_context(tmp_path)
    )
    assert decided(back)["measured"]["stale_facts"] == 10 - forth, "what it prefers is new the other way round"


@pytest.mark.parametrize("measure", ["new_tokens", "stale_facts", "drift"])
def test_a_measure_asks_from_its_limit_on(now: Inputs, decided: Any, measure: str):
    reason = next(each for each in decided(now)["reasons"] if each["measure"] == measure)
    value = reason["value"]
    if value <= 0:
        assert decided(now, **{measure: 0.0})["decision"] == "hold"
        return
    assert decided(now, **{measure: value})["decision"] == "retrain"
    if measure != "drift" and value >= 1:
        return
    assert decided(now, **{measure: math.nextafter(value, 1e9)})["decision"] == "hold"


def test_nothing_new_asks_for_nothing(now: Inputs, decided: Any):
    same = {**now, SERVING_CORPUS: now["corpus"]}
    found = decided(same, new_tokens=0.0, stale_facts=0.0, drift=0.0)
    assert found["decision"] == "hold"
    assert found["until"] is None
    assert found["measured"]["new_tokens"] == found["measured"]["changed_facts"] == 0


def test_facts_that_changed_before_it_was_trained_are_asked_too(now: Inputs, decided: Any):
    settled = {**now, SERVING_CORPUS: now["corpus"], FORMER_CORPUS: now[SERVING_CORPUS]}
    before, after = decided(now)["measured"], decided(settled)["measured"]
    assert after["changed_facts"] == 0
    assert (after["settled_facts"], after["unsettled_facts"]) == (before["changed_facts"], before["stale_facts"])


def test_a_gate_that_the_serving_model_fails_today_asks(now: Inputs, decided: Any):
    same = {**now, SERVING_CORPUS: now["corpus"]}
    strict = (Gate(metric="validation.bits_per_byte", maximum=0.01),)
    found = decided(same, gates=strict, failed_gates=True)
    assert found["decision"] == "retrain"
    assert "must be at most 0.01" in found["measured"]["failed_gates"][0]
    assert decided(same, gates=strict)["decision"] == "hold"


def test_the_first_model_is_wanted_and_waits_for_approval_where_its_cost_is_not_known(now: Inputs, decided: Any):
    nothing = {name: path for name, path in now.items() if not name.startswith("serving/")}
    assert decided(nothing) | {"needs_approval": False} == decided(nothing)
    assert decided(nothing, approval_above_hours=1.0)["needs_approval"]


def test_a_decision_reads_back(now: Inputs, decided: Any, tmp_path: Path):
    decided(now)
    assert isinstance(read_decision(tmp_path / "out-0"), Hold)
    decided(now, new_tokens=0.001)
    assert isinstance(read_decision(tmp_path / "out-1"), Retrain)


def test_prompts_and_refusals_ask_where_there_are_enough_of_them(now: Inputs, decided: Any):
    held_out = decided(now)["measured"]["held_out_bits_per_byte"]
    use = Use(answers=100, refusals=20, prompts=5, bits=80 * (held_out + 0.5), bytes=80)
    assert spoken(decided(now, use=use)) == {}, "no limit, no wish"
    found = spoken(decided(now, use=use, prompt_drift=0.4, refusals=0.2))
    assert found == {"prompt_drift": pytest.approx(0.5), "refusals": 0.2}
    assert spoken(decided(now, use=use, prompt_drift=0.6, refusals=0.3)) == {}
    assert spoken(decided(now, use=use, prompt_drift=0.4, refusals=0.2, least_answers=101)) == {}


def spoken(decision: Mapping[str, Any]) -> dict[str, float]:
    """Value of each measure that asks for a training."""
    return {each["measure"]: each["value"] for each in decision["reasons"] if each["speaks"] == "retrain"}
