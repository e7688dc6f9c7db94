"""The journal reads the ledger once, sees what others append, and begins anew where another ledger lies there."""

from forge_dagster.agents.journal import READ, REFUSED, Journal
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger


def test_what_others_append_is_seen(home: Home, journal: Journal):
    assert journal.of(READ, "agent:a") == []
    Journal(Ledger(home.ledger)).state(READ, {"agent": "agent:a", "tool": "search", "documents": ["d"]})
    Ledger(home.ledger).append("artifact", {"key": "corpus", "actor": "user:ada"})
    journal.state(READ, {"agent": "agent:b", "tool": "search", "documents": []})
    assert [entry["statement"]["documents"] for entry in journal.of(READ, "agent:a")] == [["d"]]
    with home.ledger.open("ab") as stream:
        stream.write(b'{"kind":"agent-read","statement":{"agent":"agent:a"')
    assert len(journal.of(READ, "agent:a")) == 1, "a line that is being written is read when it is whole"


def test_a_ledger_that_was_replaced_is_read_anew(home: Home, journal: Journal):
    for _ in range(3):
        journal.state(READ, {"agent": "agent:a", "tool": "search", "documents": []})
    assert len(journal.of(READ, "agent:a")) == 3
    home.ledger.unlink()
    Ledger(home.ledger).append(READ, {"agent": "agent:a", "tool": "other", "documents": []})
    assert [entry["statement"]["tool"] for entry in journal.of(READ, "agent:a")] == ["other"]


def test_a_refusal_keeps_no_argument(home: Home, journal: Journal):
    journal.refuse("agent:a", "search" * 100, "no" * 1000, {"query": "a secret"})
    stated = next(journal.about(REFUSED, agent="agent:a"))["statement"]
    assert len(stated["tool"]) == 100
    assert len(stated["reason"]) == 400
    assert stated["bytes"] == len('{"query": "a secret"}')
    assert b"a secret" not in home.ledger.read_bytes()
