"""What must stay: every release and all it was made from, what is current, and what people said to keep."""

from collections import defaultdict
from collections.abc import Iterable

from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.provenance.verify import Findings, verify_ledger
from forge_dagster.versions.pointer import TRACKED, Version

KEEP, DROP, COLLECTED, PULLED, PUSHED = "keep", "drop", "collected", "pulled", "pushed"
"""Kinds of statements in the ledger."""


def sound_ledger(home: Home) -> Ledger:
    """The ledger, once its chain is recomputed. Raises IntegrityError."""
    findings = Findings()
    verify_ledger(home.ledger, findings)
    if findings.problems:
        raise IntegrityError(
            findings.problems[0],
            rule="what is kept, deleted or restored follows from the ledger",
            mend="restore the ledger from a copy; `forge verify` names where it breaks",
        )
    return Ledger(home.ledger)


def kept(ledger: Ledger) -> dict[Version, str]:
    """The keep-list: versions and why they are kept."""
    found: dict[Version, str] = {}
    for entry in ledger.entries():
        said = entry["statement"]
        if entry["kind"] == KEEP:
            found[said["key"], said["digest"]] = said["reason"]
        elif entry["kind"] == DROP:
            found.pop((said["key"], said["digest"]), None)
    return found


def made_from(ledger: Ledger) -> dict[Version, set[Version]]:
    """The versions that each version was made from, by every statement of it."""
    found: dict[Version, set[Version]] = defaultdict(set)
    for entry in ledger.entries():
        if entry["kind"] == "artifact":
            said = entry["statement"]
            refs = said["inputs"].values()
            found[said["key"], said["digest"]] |= {(ref["key"], ref["digest"]) for ref in refs if ref["key"]}
    return dict(found)


def closure(roots: Iterable[Version], edges: dict[Version, set[Version]]) -> set[Version]:
    """`roots` and all they were made from."""
    seen: set[Version] = set()
    todo = list(roots)
    while todo:
        version = todo.pop()
        if version not in seen:
            seen.add(version)
            todo += edges.get(version, ())
    return seen


def needed(home: Home, ledger: Ledger) -> dict[Version, str]:
    """Versions that must stay, each with the first reason found for it."""
    store, edges = ArtifactStore(home.artifacts), made_from(ledger)
    standing = store.standing()
    reasons: dict[Version, str] = {}

    def add(roots: Iterable[Version], why: str) -> None:
        for version in closure(roots, edges):
            reasons.setdefault(version, why)

    add(_releases(store, ledger, edges), "a release, or what it was made from")
    add(((key, str(store.current(key))) for key, _ in standing if store.current(key)), "current, or what that is from")
    for version, why in kept(ledger).items():
        add([version], f"kept: {why}")
    add((version for version in standing if version not in edges), "the ledger has no statement of it")
    return reasons


def _releases(store: ArtifactStore, ledger: Ledger, edges: dict[Version, set[Version]]) -> list[Version]:
    """Every release but those withdrawn by an erasure, and those that rest on what one erased and no longer serve."""
    withdrawn = {(said["key"], said["digest"]) for said in ledger.statements("withdrawn")}
    named = [each.partition("@") for said in ledger.statements("erasure") for each in said["holders"]]
    holders: set[Version] = {(key, digest) for key, _, digest in named}
    found = [version for version in edges if version[0].endswith("/release") and version not in withdrawn]
    return [
        (key, digest)
        for key, digest in found
        if digest in (store.current(key), store.serving(key)) or not holders & closure([(key, digest)], edges)
    ]


def last_heard(ledger: Ledger) -> dict[Version, str]:
    """The kind of the last statement of each version among tracked, pulled and collected."""
    kinds = (TRACKED, PULLED, COLLECTED)
    said = ((entry["statement"], entry["kind"]) for entry in ledger.entries() if entry["kind"] in kinds)
    return {(statement["key"], statement["digest"]): kind for statement, kind in said}


def remotes_of(ledger: Ledger) -> dict[Version, list[str]]:
    """Names of the remotes that each version was pushed to by us."""
    found: dict[Version, list[str]] = defaultdict(list)
    for entry in ledger.entries():
        if entry["kind"] == PUSHED:
            said = entry["statement"]
            if said["remote"] not in found[said["key"], said["digest"]]:
                found[said["key"], said["digest"]].append(said["remote"])
    return found


def find(home: Home, artifact: str) -> Version:
    """Key and digest of KEY (the current version) or KEY@DIGEST-PREFIX, standing here or not. Raises UserError."""
    key, _, prefix = artifact.partition("@")
    store = ArtifactStore(home.artifacts)
    current, stated_ = store.current(key), []
    for entry in Ledger(home.ledger).entries():
        said = entry["statement"]
        if said.get("key") == key and entry["kind"] in ("artifact", "current"):
            stated_.append(said["digest"])
            current = current if store.current(key) else said["digest"]
    if not prefix and current:
        return key, current
    known = sorted({*stated_, *store.versions(key)})
    matches = [digest for digest in known if prefix and digest.startswith(prefix)]
    if len(matches) == 1:
        return key, matches[0]
    shown = ", ".join(digest[:12] for digest in known) or "none"
    raise UserError(
        f"{artifact}: {len(matches)} versions match",
        rule=f"the ledger knows of these versions of {key}: {shown}",
        mend="give more digits, or see `forge status` for the keys",
    )
