"""The process of an agent's run: only what the ledger admitted runs, and no longer than it holds."""

import os
import signal
import time

import pytest

from forge_dagster.agents.journal import ENDED, RUN, Journal
from forge_dagster.cli.tools import admitted
from forge_dagster.errors import UserError
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger


def test_what_was_not_admitted_or_has_ended_does_not_run(home: Home):
    with pytest.raises(UserError, match="launch 'run'"):
        admitted.run("run")
    journal = Journal(Ledger(home.ledger))
    journal.state(RUN, {"agent": "agent:a", "launch": "run"})
    journal.state(ENDED, {"agent": "agent:a", "launch": "run", "exit_code": 0, "seconds": 1.0})
    with pytest.raises(UserError, match="launch 'run'"):
        admitted.run("run")


def test_a_failure_is_stated_with_its_time_under_the_agents_name(home: Home, monkeypatch: pytest.MonkeyPatch):
    journal, seen = Journal(Ledger(home.ledger)), []

    def launched(statement):
        seen.append(os.environ["FORGE_ACTOR"])
        raise RuntimeError("gone wrong")

    monkeypatch.setattr(admitted, "_launched", launched)
    monkeypatch.setenv("FORGE_ACTOR", "user:ada")
    journal.state(RUN, {"agent": "agent:a", "launch": "run", "seconds": 60.0})
    with pytest.raises(RuntimeError):
        admitted.run("run")
    assert seen == ["agent:a"]
    assert next(journal.about(ENDED, launch="run"))["statement"]["exit_code"] == 1


def test_the_time_that_it_holds_ends_it():
    former = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt), admitted.stopped_after(0.1):
            time.sleep(30)
    finally:
        signal.signal(signal.SIGTERM, former)
