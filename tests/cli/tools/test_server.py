"""A client of the SDK reads, searches and compares; what it gets of evaluations is development items alone."""

import json

import anyio
import pytest
from agents_case import DOCUMENTS, HELD_OUT, INJECTION, Case
from mcp import Client
from mcp.shared.exceptions import MCPError

from forge_dagster.agents.envelope import NOTICE
from forge_dagster.cli.tools.server import PEOPLE, TOOLS, Front, make_server
from forge_dagster.evaluation.card import read_card


def test_tools_and_resources_are_described_and_none_is_a_persons(front: Front):
    async def speak():
        async with Client(make_server(front)) as client:
            tools, resources = await client.list_tools(), await client.list_resources()
            card = await client.read_resource("forge://scorecard/small")
            return tools.tools, resources.resources, card.contents[0].text

    tools, resources, card = anyio.run(speak)
    assert {tool.name for tool in tools} == set(TOOLS)
    assert not {tool.name for tool in tools} & set(PEOPLE)
    assert all(tool.input_schema["additionalProperties"] is False for tool in tools)
    assert {tool.name for tool in tools if not tool.annotations.read_only_hint} == {"propose", "execute"}
    assert "forge://scorecard/small" in {str(each.uri) for each in resources}
    assert json.loads(card)["recipe"] == "small"


def test_reading_tools_answer(call):
    assert {row["artifact"] for row in call("status")[1]["artifacts"]} >= {"corpus", "small/release"}
    sources = {each["name"]: each for each in call("sources")[1]["sources"]}
    assert sources["plant"]["may_read"]
    assert not sources["office"]["may_read"]
    assert "location" not in sources["plant"]
    assert call("recipes", recipe="small")[1]["recipe"]["name"] == "small"
    assert call("recipes")[1]["recipes"][0]["name"] == "small"
    assert "properties" in call("schema", kind="recipe")[1]["schema"]
    assert call("runs")[1] == {"runs": []}
    assert call("budget")[1]["used"]["trials"] == 0
    assert call("readiness") == (True, {"refused": "readiness was never made", "rule": "what is read was made before",
                                        "mend": "plan and execute 'readiness'"})  # fmt: skip


def test_a_scorecard_tells_development_scores_and_rounded_gates(call, case: Case):
    refused, told = call("scorecard", recipe="small")
    assert not refused
    store = case.desk().store
    card = read_card(store.content("small/scorecard", told["digest"]))
    development = told["development"]["sft"]["facts_seen.acc"]
    assert 0 < development["items"] < card.checkpoints["sft"]["facts_seen.acc"].n
    gate = next(each for each in told["gates"] if each["metric"] == "validation.bits_per_byte")
    assert gate["rounded"] == 1.5
    assert set(gate) == {"metric", "outcome", "rounded"}
    assert call("scorecard", recipe="small")[0] is False, "the same scorecard again tells nothing new"
    refused, why = call("scorecard", recipe="other")
    assert refused
    assert why["rule"].startswith("scorecards = 1")


def test_compare_is_on_development_items(call):
    refused, told = call("compare", recipe="small", **{"with": "other"})
    assert not refused
    row = next(each for each in told["metrics"] if each["metric"] == "facts_seen.acc")
    assert row["value"] > row["other"]
    assert row["paired"]["pairs"] < 40


def test_search_gives_text_as_data_of_readable_sources_alone(call, case: Case):
    _, told = call("search", query="boiler salaries reserve valve hall nine")
    passages = [each["untrusted_document_text"] for each in told["passages"]]
    assert {each["source"] for each in passages} == {"plant"}
    assert any(INJECTION in each["text"] for each in passages)
    assert all(each["notice"] == NOTICE for each in passages)
    assert HELD_OUT not in json.dumps(told)
    assert DOCUMENTS["office"] not in json.dumps(told)
    read = [entry["statement"] for entry in case.desk().journal.ledger.of("agent-read")]
    assert read == [{"agent": "agent:tuner", "tool": "search", "documents": [case.ids["plant"]]}]


def test_where_used_counts_items_and_tells_no_question(call, case: Case):
    refused, told = call("where_used", document=case.ids["held"])
    assert not refused
    assert told["documents"][0]["counts"]["benchmark"] == 60
    assert "Question" not in json.dumps(told)
    assert call("where_used", document="plant/held.txt")[1]["documents"][0]["document"] == case.ids["held"]
    for foreign in (case.ids["office"], "office/page.txt", "f" * 64, "page.txt"):
        refused, why = call("where_used", document=foreign)
        assert refused
        assert why["rule"] == "one of the sources that tuner may read: plant", "what is not there reads the same"


def test_benchmark_shows_development_items_alone(call, front: Front):
    _, told = call("benchmark", most=50)
    counts = told["tasks"]["facts_seen"]
    assert counts["development"] + counts["sealed"] == 40
    assert 0 < counts["development"] < 40
    seal = front.desk.seal(told["digest"])
    assert all(seal.shows(item["id"]) for item in told["items"])
    assert 0 < len(told["items"]) < sum(each["development"] for each in told["tasks"].values())
    assert all(int(item["id"].rpartition("/")[2]) % 4 for item in told["items"]), "those of the office are not shown"


def test_other_resources_are_refused(front: Front, case: Case):
    async def speak(uri: str):
        async with Client(make_server(front)) as client:
            with pytest.raises(MCPError):
                await client.read_resource(uri)

    for uri in ("file:///etc/passwd", "forge://scorecard/../../ledger", "forge://keys"):
        anyio.run(speak, uri)
    assert len(case.refusals()) == 3
