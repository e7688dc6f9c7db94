"""What is said of a release in every format: gathered once from its chain, its scorecard and the ledger."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from forge_dagster.bundle.changes import changes
from forge_dagster.bundle.documents import documents, summary
from forge_dagster.bundle.lineage import Link, chain, interventions, own
from forge_dagster.bundle.merkle import Tree
from forge_dagster.bundle.use import add_use
from forge_dagster.home import Home
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.row_index import RowIndex
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore

OPERATIONS = "floating_point_operations"


@dataclass(frozen=True, kw_only=True)
class Facts:
    """One release, its chain (itself first), its documents and what people did to it."""

    key: str
    digest: str
    links: Sequence[Link]
    manifest: Mapping[str, Any]
    scorecard: Mapping[str, Any]
    documents: Sequence[Mapping[str, Any]]
    summary: Mapping[str, Any]
    tree: Tree
    approvals: Sequence[Mapping[str, Any]]
    interventions: Sequence[Mapping[str, Any]]
    use: Mapping[str, Any]
    """What each stage's count of a document means, and the pairs that people gave."""
    changes: Mapping[str, Any]

    @property
    def recipe(self) -> Mapping[str, Any]:
        """The recipe as it was released."""
        return dict(self.manifest["recipe"])

    @property
    def last_scores(self) -> dict[str, Any]:
        """Scores of the released checkpoint by metric."""
        return dict(list(self.scorecard["checkpoints"].values())[-1])

    @property
    def costs(self) -> dict[str, float]:
        """Floating-point operations by artifact, of the release's own trainings that say so."""
        return {key: float(link.cost[OPERATIONS]) for key, link in own(self.links).items() if link.cost}

    @property
    def energy(self) -> dict[str, Any]:
        """Joules of all steps whose energy is known, how many these are, and the methods; see the records of runs."""
        told = [link.run["energy"] for link in self.links if link.run and "energy" in link.run]
        known = [each["joules"] for each in told if each["joules"] is not None]
        methods = sorted({each["method"] for each in told})
        return {"joules": sum(known), "known": len(known), "steps": len(self.links), "methods": methods}

    @property
    def libraries(self) -> dict[str, str]:
        """Versions of the libraries that computed, as the records have them."""
        found: dict[str, str] = {}
        for link in self.links:
            found |= dict((link.record.identity.numerics or {}).get("libraries", {}))
        return dict(sorted(found.items()))

    @property
    def last_time(self) -> str:
        """When the release was made, as its run says; the epoch where nobody kept it."""
        return str((self.links[0].run or {}).get("begun", "1970-01-01T00:00:00+00:00"))


def gather(home: Home, key: str, digest: str) -> Facts:
    """Facts of one release. Raises IntegrityError if its chain is not whole."""
    store, links, release = ArtifactStore(home.artifacts), chain(home, key, digest), Node(key, digest)
    graph = Graph(store)
    content = store.content(key, digest)
    rows = documents(store, links)
    use = add_use(graph, RowIndex(graph, home.cache / "lineage"), release, rows)
    keys, recipe = {link.record.key for link in links}, key.partition("/")[0]
    approvals = list(Ledger(home.ledger).statements("approval", key=key, digest=digest))
    concerned = [
        entry
        for entry in interventions(home)
        if entry["statement"].get("key") in (None, *keys) and entry["statement"].get("recipe") in (None, recipe)
    ]
    return Facts(
        key=key,
        digest=digest,
        links=links,
        manifest=json.loads((content / "manifest.json").read_bytes()),
        scorecard=json.loads((content / "scorecard.json").read_bytes()),
        documents=rows,
        summary=summary(rows),
        tree=Tree([str(row["id"]) for row in [*(r for r in rows if r.get("split") == "train"), *use["former"]]]),
        approvals=approvals,
        interventions=concerned,
        use=use,
        changes=changes(home, graph, release, keys),
    )
