"""The server for auditors: every mutation of the schema is posted with real names, and refused; nothing is changed."""

import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from nano import Organisation
from server import Server

pytestmark = pytest.mark.system

TYPE = "fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name } } } } "
SCHEMA = """{ __schema {
  mutationType { fields { name args { name defaultValue type { ...T } } type { ...T } } }
  types { name kind enumValues { name } inputFields { name defaultValue type { ...T } } } } } """
STATE = """{ instance { runQueueConfig { maxConcurrentRuns } concurrencyLimits { concurrencyKey slotCount } }
  runsOrError { ... on Runs { results { runId status } } }
  sensorsOrError(repositorySelector: {repositoryLocationName: "forge", repositoryName: "__repository__"}) {
    ... on Sensors { results { name sensorState { status } } } }
  assetNodes { assetKey { path } assetMaterializations { runId timestamp } } }"""
NAMES = {
    "repositoryLocationName": "forge", "locationName": "forge", "repositoryName": "__repository__",
    "pipelineName": "models", "jobName": "models", "sensorName": "source_changes", "scheduleName": "nightly_refresh",
}  # fmt: skip


@pytest.fixture(scope="module")
def auditors(undisturbed: Organisation) -> Iterator[Server]:
    with Server(undisturbed, "--read-only") as server:
        yield server


def _ask(request: urllib.request.Request) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def _post(server: Server, body: Any, kind: str = "application/json") -> tuple[int, Any]:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return _ask(urllib.request.Request(f"{server.url}/graphql", data, {"Content-Type": kind}))


class Caller:
    """Calls of mutations, with an argument for all that is required."""

    def __init__(self, schema: dict[str, Any], run: str) -> None:
        self.types = {each["name"]: each for each in schema["types"]}
        self.fields, self.run = schema["mutationType"]["fields"], run

    def call(self, field: dict[str, Any]) -> dict[str, Any]:
        needed = [each for each in field["args"] if self._is_needed(each)]
        head = ", ".join(f"${each['name']}: {self._written(each['type'])}" for each in needed)
        given = ", ".join(f"{each['name']}: ${each['name']}" for each in needed)
        result = self._inner(field["type"])
        answer = "" if self.types[result]["kind"] in ("SCALAR", "ENUM") else " { __typename }"
        query = f"mutation {f'({head})' if head else ''} {{ {field['name']}{f'({given})' if given else ''}{answer} }}"
        return {"query": query, "variables": {each["name"]: self._value(each["type"], each["name"]) for each in needed}}

    def _is_needed(self, field: dict[str, Any]) -> bool:
        return field["type"]["kind"] == "NON_NULL" and field["defaultValue"] is None

    def _inner(self, given: dict[str, Any]) -> str:
        return self._inner(given["ofType"]) if given["ofType"] else given["name"]

    def _written(self, given: dict[str, Any]) -> str:
        if given["kind"] == "NON_NULL":
            return f"{self._written(given['ofType'])}!"
        return f"[{self._written(given['ofType'])}]" if given["kind"] == "LIST" else given["name"]

    def _value(self, given: dict[str, Any], name: str) -> Any:
        if given["kind"] == "NON_NULL":
            return self._value(given["ofType"], name)
        if given["kind"] == "LIST":
            return [self._value(given["ofType"], name)]
        kind = self.types[given["name"]]
        if kind["kind"] == "ENUM":
            return kind["enumValues"][0]["name"]
        if kind["kind"] == "INPUT_OBJECT":
            return {each["name"]: self._value(each["type"], each["name"]) for each in kind["inputFields"]
                    if self._is_needed(each)}  # fmt: skip
        if "run" in name.lower() and given["name"] in ("String", "ID"):
            return self.run
        return {"Int": 1, "Float": 1.0, "Boolean": True}.get(given["name"], NAMES.get(name, "corpus"))


def _files(organisation: Organisation) -> dict[str, bytes]:
    home = organisation.home
    return {str(path): path.read_bytes() for path in [home / "ledger.jsonl", *Path(home).rglob("CURRENT")]}


def test_every_mutation_is_refused_and_changes_nothing(auditors: Server, undisturbed: Organisation):
    schema = auditors.query(TYPE + SCHEMA)["__schema"]
    before, files, run = auditors.query(STATE), _files(undisturbed), next(iter(auditors.runs()))
    caller = Caller(schema, run)
    assert len(caller.fields) > 30
    for field in caller.fields:
        status, said = _post(auditors, caller.call(field))
        assert (status, said["data"]) == (403, None), field["name"]
        assert said["errors"][0]["message"].startswith("this server is for auditors"), field["name"]
    assert auditors.query(STATE) == before
    assert _files(undisturbed) == files


@pytest.mark.parametrize("text", ["mutation { setNuxSeen }", "query A { version } mutation B { setNuxSeen }"])
def test_a_mutation_is_refused_however_it_comes(auditors: Server, text: str):
    for body, kind in (({"query": text, "operationName": "A"}, "application/json"), (text, "application/graphql")):
        assert _post(auditors, body, kind)[0] == 403
    asked = urllib.parse.urlencode({"query": text, "operationName": "B"})
    assert _ask(urllib.request.Request(f"{auditors.url}/graphql?{asked}"))[0] == 403


def test_questions_are_answered_and_what_is_no_graphql_is_said_to_be_none(auditors: Server):
    assert "corpus" in auditors.materialized()
    status, said = _post(auditors, {"query": "mutation {"})
    assert status == 400
    assert "Syntax Error" in said["errors"][0]["message"]
