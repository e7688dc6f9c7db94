"""Every artifact made is told as OpenLineage wants it, to a file and a web server; one that fails costs nothing.

The schemas are those of github.com/OpenLineage/OpenLineage (Apache-2.0), spec 2-0-2.
"""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import jsonschema
import pytest
import yaml
from pydantic import ValidationError
from referencing import Registry, Resource
from webhook import Webhook

from forge_dagster.automation import Automation
from forge_dagster.home import Home
from forge_dagster.provenance.build import Order, stage_of
from forge_dagster.provenance.run import Run, run_folders
from forge_dagster.stage import NoConfig
from resources.openlineage import FACETS, SPEC
from resources.store import Store

SCHEMAS = [json.loads(path.read_bytes()) for path in Path(__file__).with_name("openlineage").glob("*.json")]
REGISTRY = Registry().with_resources([(each["$id"], Resource.from_contents(each)) for each in SCHEMAS])
FAILING = """
from forge_dagster.errors import DataError
def run(inputs, config, out, context):
    raise DataError("the text of a document")
from forge_dagster.stage import Stage
STAGE = Stage(run=run)
"""


def _validator(reference: str) -> jsonschema.Draft202012Validator:
    checker = jsonschema.FormatChecker()
    return jsonschema.Draft202012Validator({"$ref": reference}, registry=REGISTRY, format_checker=checker)


def valid(event: dict[str, Any]) -> bool:
    """Whether an event follows the schema, and each of its facets the one that it names."""
    assert event["schemaURL"] == f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent"
    facets = {**event["run"]["facets"], **event["job"]["facets"]}
    for dataset in (*event["inputs"], *event["outputs"]):
        facets |= {**dataset["facets"], **dataset.get("outputFacets", {})}
    assert set(facets) <= set(FACETS)
    return _validator(event["schemaURL"]).is_valid(event) and all(
        _validator(facet["_schemaURL"]).is_valid(facet) for facet in facets.values()
    )


@pytest.fixture
def told(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toy: Callable[[str, str], str]
) -> Callable[..., tuple[bool, Run]]:
    """Make two artifacts, one from the other, with these settings; whether it succeeded, and the run."""

    def make(settings: dict[str, Any], second: str | None = None) -> tuple[bool, Run]:
        (tmp_path / "automation.yaml").write_text(yaml.safe_dump({"openlineage": settings}))
        monkeypatch.setenv("FORGE_AUTOMATION", str(tmp_path / "automation.yaml"))
        orders = {
            "first": Order(key="first", module=toy("one", "a"), inputs={}, external={}, config=NoConfig(),
                           numerics=None),
            "second": Order(key="second", module=second or toy("two", "b"), inputs={"left": "first"}, external={},
                            config=NoConfig(), numerics=None),
        }  # fmt: skip

        def asset(name: str, *deps: str) -> dg.AssetsDefinition:
            checks = [dg.AssetCheckSpec(check, asset=name) for check in stage_of(orders[name].module).check_names]

            @dg.asset(name=name, deps=list(deps), check_specs=checks)
            def made(context: dg.AssetExecutionContext, store: Store):
                yield from store.materialize(context, lambda declared, force: orders[name])

            return made

        with dg.DagsterInstance.ephemeral() as instance:
            assets = [asset("first"), asset("second", "first")]
            result = dg.materialize(assets, resources={"store": Store()}, instance=instance, raise_on_error=False)
        return result.success, Run(home, run_folders(home)[-1].name)

    return make


def test_a_file_and_a_server_get_the_same_valid_events(
    told: Any, webhook: Webhook, home: Home, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LINEAGE_KEY", "secret")
    succeeded, run = told({"file": "events/all.jsonl", "url": webhook.url, "key_variable": "LINEAGE_KEY"})
    assert succeeded
    events = [json.loads(line) for line in (home.root / "events" / "all.jsonl").read_bytes().splitlines()]
    assert events == webhook.bodies
    assert webhook.keys == {"Bearer secret"}
    assert [(each["eventType"], each["job"]["name"]) for each in events] == [
        ("START", "first"), ("COMPLETE", "first"), ("START", "second"), ("COMPLETE", "second"),
    ]  # fmt: skip
    assert all(map(valid, events))
    start, end = events[2:]
    assert start["run"]["runId"] == end["run"]["runId"] != events[0]["run"]["runId"]
    assert start["inputs"][0]["name"] == "first"
    made = {key: entry["digest"] for key, entry in run.outputs().items()}
    (read,), (wrote,) = end["inputs"], end["outputs"]
    assert (read["name"], read["facets"]["version"]["datasetVersion"]) == ("first", made["first"])
    assert (wrote["name"], wrote["facets"]["version"]["datasetVersion"]) == ("second", made["second"])
    assert wrote["outputFacets"]["outputStatistics"]["size"] > 0
    assert end["run"]["facets"]["parent"]["run"]["runId"] == events[0]["run"]["facets"]["parent"]["run"]["runId"]
    assert run.untold() == []


def test_an_event_that_breaks_the_schema_is_seen(told: Any, home: Home):
    told({"file": "events.jsonl"})
    event = json.loads((home.root / "events.jsonl").read_bytes().splitlines()[-1])
    assert valid(event)
    for broken in ({"eventTime": "yesterday"}, {"job": {"name": "x", "facets": {}}}, {"eventType": "ENDED"}):
        assert not valid({**event, **broken}), broken
    del event["outputs"][0]["facets"]["version"]["datasetVersion"]
    assert not valid(event)


def test_a_failure_tells_its_kind_and_no_message(
    told: Any, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "failing_stage.py").write_text(FAILING)
    monkeypatch.syspath_prepend(str(tmp_path))
    succeeded, _ = told({"file": "events.jsonl"}, second="failing_stage")
    assert not succeeded
    text = (home.root / "events.jsonl").read_text()
    last = json.loads(text.splitlines()[-1])
    assert (last["eventType"], last["run"]["facets"]["errorMessage"]["message"]) == ("FAIL", "DataError")
    assert valid(last)
    assert "the text of a document" not in text


@pytest.mark.parametrize("how", ["refused", "failing", "silent", "no key", "no room for a file"])
def test_an_endpoint_that_fails_fails_no_run_and_is_told(
    how: str, told: Any, webhook: Webhook, home: Home, monkeypatch: pytest.MonkeyPatch
):
    settings: dict[str, Any] = {"url": webhook.url, "timeout_seconds": 0.3}
    said = {"refused": "ConnectError", "failing": "HTTPStatusError 500", "silent": "ReadTimeout", "no key": "KeyError",
            "no room for a file": "NotADirectoryError"}[how]  # fmt: skip
    if how == "refused":
        settings["url"] = "http://127.0.0.1:1/lineage?token=secret-token"
    elif how == "failing":
        webhook.failures = 99
    elif how == "silent":
        webhook.silent = threading.Event()
    elif how == "no key":
        settings["key_variable"] = "NOT_SET"
    else:
        settings = {"file": "taken/events.jsonl"}
        home.root.mkdir(parents=True, exist_ok=True)
        (home.root / "taken").write_text("a file")
        said = "Error"
    succeeded, run = told(settings)
    if webhook.silent:
        webhook.silent.set()
    assert succeeded
    assert len(run.untold()) == 4
    assert all(said in each and "secret-token" not in each for each in run.untold())
    assert run.untold()[1].startswith("OpenLineage COMPLETE of first did not reach ")


def test_nothing_is_told_unless_somebody_says_where(told: Any, home: Home):
    succeeded, run = told({})
    assert succeeded
    assert run.untold() == []
    assert list(home.root.glob("*.jsonl")) == [home.ledger]


@pytest.mark.parametrize("broken", [{"url": "marquez:5000"}, {"file": ""}, {"timeout_seconds": 0}, {"to": "x"}])
def test_settings_that_are_none_are_refused(broken: dict[str, Any]):
    with pytest.raises(ValidationError):
        Automation.model_validate({"openlineage": broken})
