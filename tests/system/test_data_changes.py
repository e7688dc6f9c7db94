"""With daemon and code server running: a fact changes in the documents, and the model that serves follows."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from nano import NANO_MODEL, Organisation, nano_recipe
from server import STUCK

from forge_dagster.home import PROJECT
from forge_dagster.sample.generate import generate

pytestmark = pytest.mark.system

TICK, QUIET = 2, 1  # seconds
MODEL = NANO_MODEL | {"hidden_size": 128, "intermediate_size": 256, "heads": 2, "kv_heads": 2, "head_dim": 64}
NEW_ANSWER = "Ottilie Vanterpool"


@pytest.fixture(scope="module")
def automated(tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """Two sources, a recipe of one stage that learns its documents by heart, and sensors that are on; it was run."""
    root = tmp_path_factory.mktemp("automated")
    for folder in ("sources", "recipes", "recipes/retraining"):
        (root / folder).mkdir(parents=True)
    for name, documents, seed in (("sample", 40, 7), ("other", 20, 8)):
        generate(documents, seed, root / name)
        source = yaml.safe_load((PROJECT / "sources" / "sample.yaml").read_text())
        source |= {"name": name, "location": f"../{name}/documents", "facts": None, "canaries": None}
        source["watch"] = {"quiet_seconds": QUIET}
        (root / "sources" / f"{name}.yaml").write_text(yaml.safe_dump(source))
    recipe = nano_recipe("nano")
    recipe["model"] |= MODEL
    recipe["stages"] = recipe["stages"][:1]
    recipe["stages"][0]["settings"] |= {"tokens": 491_520, "batch_tokens": 2048}
    (root / "recipes" / "nano.yaml").write_text(yaml.safe_dump(recipe))
    policy = {"name": "nano", "new_tokens": None, "drift": None, "stale_facts": 0.5, "cooldown_hours": 0}
    (root / "recipes" / "retraining" / "nano.yaml").write_text(yaml.safe_dump(policy))
    sensor = {"enabled": True, "every_seconds": TICK}
    sensors = dict.fromkeys(("source_changes", "stale_artifacts", "retraining"), sensor)
    (root / "automation.yaml").write_text(yaml.safe_dump({"sensors": sensors}))
    made = Organisation(root)
    made.environment["FORGE_AUTOMATION"] = str(root / "automation.yaml")
    done = made.forge("run")
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def daemon(automated: Organisation) -> Iterator["subprocess.Popen[bytes]"]:
    """Dagster's daemon, which starts a code server of its own."""
    with (automated.root / "daemon.log").open("wb") as log:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("dagster-daemon")), "run", "-w", str(PROJECT / "workspace.yaml")],
            env={**automated.environment, "DAGSTER_HOME": str(automated.home / "dagster")},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        yield process
        os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def until(daemon: "subprocess.Popen[bytes]", condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + STUCK
    while not (found := condition()):
        assert time.monotonic() < deadline, "waited too long"
        assert daemon.poll() is None, "the daemon ended"
        time.sleep(0.3)
    return found


def content(organisation: Organisation, key: str) -> Path:
    return organisation.home / "artifacts" / key / organisation.digests()[key] / "content"


def decision(organisation: Organisation) -> dict[str, Any]:
    if "nano/retraining_decision" not in organisation.digests():
        return {}
    return json.loads((content(organisation, "nano/retraining_decision") / "decision.json").read_bytes())


def skipped(organisation: Organisation, sensor: str) -> list[str]:
    with dg.DagsterInstance.from_config(str(organisation.home / "dagster")) as instance:
        states = [state for state in instance.all_instigator_state() if state.name == sensor]
        ticks = [tick for state in states for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id)]
    return [tick.skip_reason for tick in ticks if tick.skip_reason]


def change_a_fact(root: Path) -> None:
    """Let another person answer for a machine: in every document that says who does."""
    facts = [json.loads(line) for line in (root / "sample" / "facts.jsonl").read_text().splitlines()]
    fact = next(each for each in facts if "engineer" in each["question"].lower() or "who" in each["question"].lower())
    said = [path for path in (root / "sample" / "documents").rglob("*.*") if path.suffix in (".md", ".txt", ".html")]
    changed = [path for path in said if fact["answer"] in path.read_text()]
    assert changed
    for path in changed:
        path.write_text(path.read_text().replace(fact["answer"], NEW_ANSWER))


def test_a_changed_fact_is_learned_and_the_release_moves(automated: Organisation, daemon: "subprocess.Popen[bytes]"):
    first = until(daemon, lambda: decision(automated))
    assert first["decision"] == "hold"
    before, times, began = automated.digests(), {}, time.monotonic()
    change_a_fact(automated.root)

    def moved(key: str) -> None:
        until(daemon, lambda: automated.digests()[key] != before[key])
        times[key] = round(time.monotonic() - began)

    until(daemon, lambda: any("sample moved" in line for line in skipped(automated, "source_changes")))
    times["seen"] = round(time.monotonic() - began)
    moved("raw_documents/sample")
    moved("token_shards/bpe-512")
    asked = until(daemon, lambda: decision(automated)["decision"] == "retrain" and decision(automated))
    times["decided"] = round(time.monotonic() - began)
    assert asked["measured"]["changed_facts"] > 0
    assert asked["measured"]["stale_facts"] / asked["measured"]["changed_facts"] >= 0.5
    assert [each["measure"] for each in asked["reasons"] if each["speaks"] == "retrain"] == ["stale_facts"]
    moved("nano/base_checkpoint")
    moved("nano/scorecard")
    moved("nano/release")
    after = until(daemon, lambda: decision(automated)["measured"]["settled_facts"] and decision(automated))
    times["decided again"] = round(time.monotonic() - began)
    print(json.dumps(times))
    assert after["decision"] == "hold"
    was = asked["measured"]["stale_facts"] / asked["measured"]["changed_facts"]
    now = after["measured"]["unsettled_facts"] / after["measured"]["settled_facts"]
    assert now < was / 2, "the new model says the new value"
    assert automated.digests()["clean_documents/other"] == before["clean_documents/other"]
    with dg.DagsterInstance.from_config(str(automated.home / "dagster")) as instance:
        read = [run.tags.get("dagster/partition") for run in instance.get_runs() if run.job_name == "source"]
        launched = [run for run in instance.get_runs() if "forge/decision" in run.tags]
    assert read.count("other") == 1, "when everything was made"
    assert len(launched) == 1
    ledger = [json.loads(line)["statement"] for line in (automated.home / "ledger.jsonl").read_text().splitlines()]
    stated = [each for each in ledger if each.get("key") == "nano/retraining_decision" and "decision" in each]
    assert [each["decision"] for each in stated] == ["hold", "retrain", "hold"]
    assert stated[1]["reasons"]
    status = json.loads(automated.forge("status", "--json").stdout)
    assert status["decisions"]["nano"]["decision"] == "hold"
