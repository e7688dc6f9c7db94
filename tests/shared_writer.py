"""A process of another machine: shares every version of its home, then states twelve notes in the ledger."""

import sys

from forge_dagster.home import home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore

if __name__ == "__main__":
    store = ArtifactStore(home().artifacts)
    for version in store.standing():
        for record in store.records(*version):
            store.share(record)
    for number in range(12):
        Ledger(home().ledger).append("note", {"who": sys.argv[1], "n": number})
