"""What changed since the release before, and what went wrong on the way: failed steps, outputs that a check refused."""

import json
from collections.abc import Collection
from typing import Any

from forge_dagster.errors import ForgeError
from forge_dagster.home import Home
from forge_dagster.lineage.difference import difference
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.run import Run, run_folders


def changes(home: Home, graph: Graph, release: Node, keys: Collection[str]) -> dict[str, Any]:
    """`previous` (digest, null if there was none), `difference` (null if its bytes are gone, and `why`), `failures`.

    Failures are of the artifacts in `keys`: run, artifact and kind of error. No message: one may quote a document.
    """
    before = previous(home, release)
    said: dict[str, Any] = {"previous": before, "difference": None, "why": None}
    if before is not None:
        try:
            found = difference(graph, Node(release.key, before), release)
            said["difference"] = found.model_dump(mode="json")
        except (ForgeError, KeyError, OSError) as error:
            # A release whose inputs were deleted cannot be compared any more; the bundle says so in its place.
            said["why"] = f"it cannot be compared: {getattr(error, 'problem', None) or type(error).__name__}"
    return {**said, "failures": failures(home, keys), "refused": refused(home, keys)}


def previous(home: Home, release: Node) -> str | None:
    """The last other version of a release that the ledger states before this one."""
    last: str | None = None
    for said in Ledger(home.ledger).statements("artifact", key=release.key):
        if said["digest"] == release.digest:
            return last
        last = said["digest"]
    return last


def failures(home: Home, keys: Collection[str]) -> list[dict[str, str]]:
    """Steps that ended in an error, by the folders of runs that are kept, oldest first."""
    return [
        {"run": folder.name, "artifact": error["key"], "kind": error["kind"]}
        for folder in run_folders(home)
        for error in Run(home, folder.name).errors()
        if error["key"] in keys
    ]


def refused(home: Home, keys: Collection[str]) -> list[dict[str, Any]]:
    """Outputs that a check refused: artifact, digest, and the checks."""
    return [
        {
            "artifact": key,
            "digest": path.stem,
            "checks": [each["name"] for each in json.loads(path.read_bytes()) if not each["passed"]],
        }
        for key in sorted(keys)
        for path in sorted((home.verdicts / key).glob("*.json"))
    ]
