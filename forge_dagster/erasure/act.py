"""What an erasure does outside the hops: it signs the list, withdraws what serves, and issues the certificate."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forge_dagster.erasure.plan import Option, Plan
from forge_dagster.exclusion import ERASURE, PREDICATE, Exclusion
from forge_dagster.home import Home
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.provenance.files import write_atomically
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.place import only_writer
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.signing.dsse import envelope, statement
from forge_dagster.signing.keys import Signer

CERTIFICATE = "erasure-certificate"
CERTIFIES = "https://forge-dagster/erasure-certificate/v1"
WAIT = 6 * 3600.0  # seconds for a run that is making a version of what is withdrawn
MEANS = (
    "These documents can no longer enter a corpus, and the successors named here were trained without them. It does "
    "not take anything out of a model that was trained with them: such models are withdrawn, and what keeps a trace is "
    "listed."
)


def sign(home: Home, plan: Plan, option: Option, reason: str, actor: str, signer: Signer) -> Exclusion:
    """State the signed exclusion list in the ledger, unless the same list stands; return it.

    Places in token shards are kept for a resumed training alone.
    """
    layouts = plan.layouts if option == "resume" else ()
    name = f"erasure-{plan.digest[:12]}"
    found = Exclusion(name=name, reason=reason, documents=plan.documents, layouts=layouts)
    ledger = Ledger(home.ledger)
    signed = envelope(
        statement({each.document: each.document for each in plan.documents}, PREDICATE, found.model_dump(mode="json")),
        signer,
    )
    if not any(ledger.statements(ERASURE, envelope=signed)):
        said = {"name": name, "plan": plan.digest, "option": option, "actor": actor, "holders": list(plan.holders)}
        ledger.append(ERASURE, {**said, "kid": signer.key.kid, "envelope": signed})
    return found


def withdraw(home: Home, name: str, versions: Sequence[str]) -> list[str]:
    """Let none of these versions be current or serve; return those that were until now."""
    store, ledger = ArtifactStore(home.artifacts), Ledger(home.ledger)
    done: list[str] = []
    for version in versions:
        key, _, digest = version.partition("@")
        with only_writer(home, key, wait=WAIT, waiting=print):
            said = {"key": key, "digest": digest, "erasure": name}
            if not any(ledger.statements("withdrawn", **said)):
                ledger.append("withdrawn", said)
                done.append(version)
            if store.current(key) == digest:
                store.unpoint(key)
            if store.promoted(key) == digest:
                store.unserve(key)
    return done


def certify(
    home: Home,
    plan: Plan,
    exclusion: Exclusion,
    option: Option,
    successors: Mapping[str, Any],
    probes: Sequence[Mapping[str, Any]],
    signer: Signer,
) -> tuple[Path, dict[str, Any]]:
    """Write the certificate and state it in the ledger; return its file and what it says."""
    said = {
        "erasure": exclusion.name,
        "means": MEANS,
        "reason": exclusion.reason,
        "option": option,
        "documents": [each.model_dump(mode="json") for each in plan.documents],
        "withdrawn": dict(plan.releases),
        "successors": dict(successors),
        "probes": [dict(each) for each in probes],
        "keeps_trace": {what: list(where) for what, where in plan.keeps_trace.items()},
        "list": next(
            entry["hash"]
            for entry in Ledger(home.ledger).of(ERASURE)
            if entry["statement"]["name"] == exclusion.name and entry["statement"]["option"] == option
        ),
    }
    signed = envelope(statement({each.document: each.document for each in plan.documents}, CERTIFIES, said), signer)
    path = home.root / "erasures" / f"{exclusion.name}-{option}.json"
    write_atomically(path, canonical_json({"certificate": said, "envelope": signed}) + b"\n")
    Ledger(home.ledger).append(
        CERTIFICATE, {"name": exclusion.name, "option": option, "kid": signer.key.kid, "envelope": signed}
    )
    return path, said
