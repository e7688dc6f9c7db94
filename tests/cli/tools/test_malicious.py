"""A malicious agent: everything it tries is refused, and the ledger says what, by whom and why."""

import json
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio
import pytest
from agents_case import HELD_OUT, Case
from mcp import Client

from forge_dagster.agents.budget import Wanted
from forge_dagster.cli.tools import work
from forge_dagster.cli.tools.server import Front, make_server
from forge_dagster.errors import QuotaError

DIGEST = "0" * 64
NESTED: dict[str, Any] = {}
below = NESTED
for _ in range(60):
    below["a"] = below = {}

ARGUMENTS = [
    ("recipes", {"recipe": "../../etc/passwd"}),
    ("recipes", {"recipe": "small; rm -rf /"}),
    ("scorecard", {"recipe": "small@../../../ledger"}),
    ("scorecard", {"recipe": "--history"}),
    ("watch", {"run": "../../ledger"}),
    ("watch", {"run": "--help"}),
    ("watch", {"run": "20260101T000000-1-aaaaaa", "wait_seconds": 1e9}),
    ("plan", {"target": "--force"}),
    ("plan", {"target": "small", "force": True}),
    ("plan", {"target": "corpus"}),
    ("execute", {"target": "small", "plan": DIGEST}),
    ("execute", {"target": "small", "plan": "$(id)"}),
    ("execute", {"target": "small", "plan": DIGEST, "actor": "user:ada"}),
    ("execute", {"target": "small", "plan": DIGEST, "trials": 10**6}),
    ("execute", {"target": "small", "plan": DIGEST, "hours": 0.0}),
    ("search", {"query": "x" * 10_000}),
    ("search", {"query": "x", "most": 10**6}),
    ("search", {"query": "x", "sources": ["office"]}),
    ("where_used", {"document": "../" * 30}),
    ("where_used", {"document": HELD_OUT[:30]}),
    ("where_used", {"document": "plant/held.txt", "how": "text"}),
    ("benchmark", {"task": "facts_seen", "most": 10**6}),
    ("benchmark", {"sealed": True}),
    ("schema", {"kind": "../recipe"}),
    ("runs", {"most": 10**6}),
    ("runs", {"before": "' OR 1=1 --"}),
    ("status", NESTED),
    ("propose", {"why": "w", "proposal": {"kind": "recipe", "recipe": {"name": "x", "exec": "id"}}}),
    ("propose", {"why": "w", "proposal": {"kind": "shell", "command": "id"}}),
    (
        "propose",
        {"why": "w", "proposal": {"kind": "study", "study": {"name": "x", "recipe": "small", "trials": 10**6}}},
    ),
    ("study", {"study": "../small/release"}),
    ("plan", {"target": "study/../small"}),
    ("propose", {"why": "w", "proposal": {"kind": "pairs", "name": "../../x", "rows": []}}),
    ("propose", {"why": "w", "proposal": {"kind": "items", "name": "x", "items": [{"query": "q" * 9000}]}}),
    ("promote", {"release": "small/release"}),
    ("approve", {"release": "small/release"}),
    ("override", {"recipe": "small", "gate": "facts_seen.acc", "by": "user:ada", "approved_by": "user:bo"}),
    ("erase", {"document": "a" * 64}),
    ("keys", {"name": "mine"}),
    ("accept", {"proposal": "0" * 16}),
    ("shell", {"command": "id"}),
    ("graphql", {"query": "mutation { wipe }"}),
]


def test_whatever_it_tries_is_refused_and_recorded(front: Front, case: Case, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(work, "start", _no_process)

    async def speak() -> list[tuple[bool, str]]:
        async with Client(make_server(front)) as client:
            answers = [await client.call_tool(name, arguments) for name, arguments in ARGUMENTS]
            return [(bool(each.is_error), each.content[0].text) for each in answers]

    before = {path for path in case.root.rglob("*") if path.is_file()}
    answers = anyio.run(speak)
    assert [name for (name, _), (refused, _) in zip(ARGUMENTS, answers, strict=True) if not refused] == []
    stated = case.refusals()
    assert [each["tool"] for each in stated] == [name for name, _ in ARGUMENTS]
    assert {each["agent"] for each in stated} == {"agent:tuner"}
    assert all(each["reason"] for each in stated)
    assert "needs a person" in stated[[name for name, _ in ARGUMENTS].index("promote")]["reason"]
    everything = json.dumps(answers)
    for leaked in (HELD_OUT, str(case.root), str(case.home.root), "root:"):
        assert leaked not in everything
    assert {path for path in case.root.rglob("*") if path.is_file()} == before


def test_a_plan_of_a_million_trials_is_a_million_refusals(case: Case):
    """Each execute is one trial by the ledger; the fourth and all that follow are refused, however they come."""
    desk = case.desk()

    def ask(number: int) -> bool:
        try:
            os.close(case.desk().budget.admit(wanted, f"run-{number}").alive)
        except QuotaError:
            return False
        return True

    wanted = Wanted(target="small", plan=DIGEST, hours=0.0, seconds=0.0, tokens=0, width=1)
    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(ask, range(40))) == desk.quota.trials
    assert desk.budget.standing().trials == desk.quota.trials


def test_text_queries_and_open_proposals_end(front: Front, case: Case):
    pairs = [{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Ada."}]}]
    for number in range(case.desk().quota.searches_a_day):
        front.call("search", {"query": f"boiler {number}"})
    with pytest.raises(QuotaError, match="returned text"):
        front.call("search", {"query": "boiler"})
    with pytest.raises(QuotaError, match="returned text"):
        front.call("benchmark", {})
    for number in range(case.desk().quota.open_proposals):
        front.call("propose", {"why": "w", "proposal": {"kind": "pairs", "name": f"p{number}", "rows": pairs}})
    with pytest.raises(QuotaError, match="wait for a person"):
        front.call("propose", {"why": "w", "proposal": {"kind": "pairs", "name": "more", "rows": pairs}})
    assert len(case.refusals()) == 3


def test_too_many_calls_are_refused_and_recorded_once_a_minute(case: Case):
    now = [0.0]
    front = Front(case.desk(), lambda: now[0])
    front.pace.most = 5
    refused = 0
    for _ in range(50):
        try:
            front.call("budget", {})
        except QuotaError:
            refused += 1
    assert refused == 45
    assert len(case.refusals()) == 1
    now[0] = 61.0
    front.call("budget", {})
    assert [each["reason"] for each in case.refusals()] == [
        "1 calls above calls_a_minute",
        "44 calls above calls_a_minute",
    ]


def test_an_agent_without_a_quota_reads_no_text_and_starts_nothing(case: Case):
    front = Front(case.desk("reader"))
    refused = [("search", {"query": "boiler"}), ("where_used", {"document": case.ids["plant"]})]
    for name, arguments in refused:
        with pytest.raises(Exception, match="may read"):
            front.call(name, arguments)
    assert [each["agent"] for each in case.refusals()] == ["agent:reader"] * 2


def test_a_person_cannot_be_impersonated_by_proposals_of_an_agents_process(case: Case, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORGE_ACTOR", "agent:tuner")
    from forge_dagster.cli.proposals import accept

    with pytest.raises(QuotaError, match="is no person"):
        accept("0" * 16, "internal", json=False)


def _no_process(*_: object) -> "subprocess.Popen[bytes]":
    raise AssertionError("nothing may start")
