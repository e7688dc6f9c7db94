"""Spending is counted from the ledger and records; many small, parallel and killed runs gain nothing."""

import json
import os
from concurrent.futures import ThreadPoolExecutor

import pytest
from lineage_store import commit

from forge_dagster.agents.budget import LEAST_HOURS, Budget, Wanted
from forge_dagster.agents.journal import ENDED, Journal
from forge_dagster.agents.quota import Quota
from forge_dagster.errors import QuotaError
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore

PLAN = "0" * 64
HOURS = 2.0


def wanted(hours: float | None = 0.5, tokens: int = 100, seconds: float = 1200) -> Wanted:
    seconds_ = None if hours is None else seconds
    return Wanted(target="small", plan=PLAN, hours=hours, seconds=seconds_, tokens=tokens, width=2)


def test_a_run_is_stopped_when_it_takes_longer_than_it_holds(home: Home, journal: Journal):
    one = budget(home, journal)
    assert one.admit(wanted(), "known").statement["seconds"] == pytest.approx(1200 * 1.5)
    assert one.admit(wanted(hours=0.0, seconds=1), "small").statement["seconds"] == pytest.approx(90)
    unknown = one.admit(wanted(hours=None), "unknown").statement
    assert unknown["seconds"] == pytest.approx(unknown["hours"] / 2 * 3600)


def budget(home: Home, journal: Journal, **changed: object) -> Budget:
    given = {"name": "tuner", "hours": HOURS, "trials": 100, "tokens": 10_000, "runs_at_once": 64, **changed}
    return Budget(home, Quota.model_validate(given), journal)


def end(journal: Journal, launch: str, code: int, seconds: float) -> None:
    journal.state(ENDED, {"agent": "agent:tuner", "launch": launch, "exit_code": code, "seconds": seconds})


def test_parallel_runs_share_one_budget(home: Home, journal: Journal):
    """Twenty ask at once, each of a journal of its own; what is held never passes the quota."""

    def ask(number: int) -> bool:
        one = budget(home, Journal(Ledger(home.ledger)))
        try:
            one.admit(wanted(), f"run-{number}")
        except QuotaError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        admitted = list(pool.map(ask, range(20)))
    now = budget(home, journal).standing()
    assert 0 < sum(admitted) <= HOURS / 0.5
    assert now.held_hours <= HOURS
    assert now.trials == sum(admitted)
    assert len(now.under_way) == sum(admitted)


def test_many_small_runs_hold_no_less_than_starting_costs(home: Home, journal: Journal):
    one = budget(home, journal, hours=4 * LEAST_HOURS)
    for number in range(4):
        os.close(one.admit(wanted(hours=0.0, tokens=0), f"run-{number}").alive)
    with pytest.raises(QuotaError, match="processor-hours"):
        one.admit(wanted(), "one-more")


@pytest.mark.parametrize(
    ("changed", "asked", "said"),
    [
        ({"trials": 1}, {}, "trials: 2 would be used of 1"),
        ({"tokens": 150}, {}, "tokens: 200 would be used of 150"),
        ({"runs_at_once": 1}, {}, "runs_at_once: 2 would be used of 1"),
        ({"hours": 1.0}, {}, "processor-hours: 1.25 would be used of 1"),
        ({"hours": 0.75}, {"hours": None}, "processor-hours"),
    ],
)
def test_each_limit_is_kept(home: Home, journal: Journal, changed: dict, asked: dict, said: str):
    one = budget(home, journal, **changed)
    one.admit(wanted(), "first")
    with pytest.raises(QuotaError, match=said):
        one.admit(wanted(**asked), "second")


def test_a_run_of_unknown_cost_holds_all_that_is_left(home: Home, journal: Journal):
    one = budget(home, journal)
    one.admit(wanted(), "known")
    assert one.admit(wanted(hours=None), "unknown").statement["hours"] == pytest.approx(HOURS - 0.75)
    with pytest.raises(QuotaError):
        one.admit(wanted(hours=0.0), "third")


def test_a_run_that_ended_costs_what_its_artifacts_took(home: Home, journal: Journal):
    one = budget(home, journal)
    os.close(one.admit(wanted(), "run").alive)
    ref = commit(home, "small/base_checkpoint", {}, lambda out: (out / "a").write_text("a"), {})
    version = ArtifactStore(home.artifacts).version("small/base_checkpoint", ref.digest)
    (version / "beside" / "run.json").write_text(json.dumps({"seconds": 360}))
    record = ArtifactStore(home.artifacts).record("small/base_checkpoint", ref.digest)
    statement = {"key": "small/base_checkpoint", "digest": ref.digest, "fingerprint": record.fingerprint}
    journal.ledger.append("artifact", {**statement, "run": "run", "actor": "agent:tuner"})
    journal.ledger.append("artifact", {**statement, "run": "other", "actor": "user:ada"})
    end(journal, "run", 0, 400.0)
    now = one.standing()
    assert now.spent_hours == pytest.approx(0.1)
    assert now.held_hours == 0
    assert now.under_way == ()


def test_a_failed_run_costs_its_time_and_a_killed_one_what_it_held(home: Home, journal: Journal):
    one = budget(home, journal)
    os.close(one.admit(wanted(), "failed").alive)
    end(journal, "failed", 1, 900.0)
    os.close(one.admit(wanted(), "killed").alive)
    now = one.standing()
    assert now.spent_hours == pytest.approx(900 / 3600 * 2)
    assert now.held_hours == pytest.approx(0.75)
    assert now.under_way == ()


def test_another_agents_runs_do_not_count(home: Home, journal: Journal):
    budget(home, journal).admit(wanted(), "run")
    assert budget(home, journal, name="other").standing().trials == 0
