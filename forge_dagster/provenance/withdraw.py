"""Withdrawing an artifact: its versions stay, none of them is current, and the ledger says so."""

from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.place import only_writer
from forge_dagster.provenance.store import ArtifactStore

WAIT = 6 * 3600.0  # seconds for a run that is making a version of it


def withdraw(home: Home, key: str) -> None:
    """Let no version of `key` be current."""
    store = ArtifactStore(home.artifacts)
    with only_writer(home, key, wait=WAIT, waiting=print):
        if digest := store.current(key):
            Ledger(home.ledger).append("withdrawn", {"key": key, "digest": digest})
            store.unpoint(key)
