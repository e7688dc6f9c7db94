"""Which release serves: a second person approves it, it is promoted; a rollback goes back to what served before."""

from typing import Any

from pydantic import TypeAdapter, ValidationError

from forge_dagster.bundle.statements import approval, service
from forge_dagster.errors import UserError, VerdictError
from forge_dagster.home import Home
from forge_dagster.override import Reason
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.place import only_writer
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.signing.dsse import envelope
from forge_dagster.signing.keys import KeyRing, Signer

WAIT = 6 * 3600.0  # seconds for a run that is making a version of the release
PROMOTED, ROLLED_BACK = "promoted", "rolled-back"


def approve(home: Home, key: str, digest: str, signer: Signer, note: str) -> dict[str, Any]:
    """State in the ledger that a person approves this version. Raises UserError, IntegrityError if its bytes differ."""
    note = _reason(note, "--note")
    ArtifactStore(home.artifacts).verify(key, digest)
    said = {"owner": signer.key.owner, "note": note}
    signed = envelope(approval(key, digest, said), signer)
    statement = {"key": key, "digest": digest, "kid": signer.key.kid, **said, "envelope": signed}
    return Ledger(home.ledger).append("approval", statement)


def promote(home: Home, key: str, digest: str, ring: KeyRing, signer: Signer) -> dict[str, Any]:
    """Let this version serve. Raises VerdictError unless somebody other than the signer's owner approved it."""
    keys = {each.kid: each for each in ring.registry().keys}
    approved = [
        keys[said["kid"]].owner
        for said in Ledger(home.ledger).statements("approval", key=key, digest=digest)
        if said["kid"] in keys and keys[said["kid"]].revoked_at is None
    ]
    if not any(_who(owner) != _who(signer.key.owner) for owner in approved):
        raise VerdictError(
            f"{key}@{digest[:12]} is approved by {', '.join(approved) or 'nobody'}",
            rule=f"somebody other than {signer.key.owner}, who promotes it, approves a release",
            mend=f"let a second person run: forge approve {key.partition('/')[0]} --key THEIR_KEY --note WHY",
        )
    return _serve(home, PROMOTED, key, digest, signer, {})


def rollback(home: Home, key: str, signer: Signer, reason: str) -> dict[str, Any]:
    """Let serve what served before. Raises UserError if nothing did, or a second rollback would only undo the first."""
    reason = _reason(reason, "--reason")
    moves = [entry["statement"] for entry in Ledger(home.ledger).entries() if _moves(entry, key)]
    history: list[str] = []
    for said in moves:
        if said["undoes"]:
            history.pop()
        else:
            for each in (said["previous"], said["digest"]):
                history += [each] if each and each not in history[-1:] else []
    if len(history) < 2:
        raise UserError(
            f"nothing served before what serves of {key}",
            rule="a rollback goes back to what a promotion replaced",
            mend="promote another version: forge promote RECIPE/release@DIGEST",
        )
    return _serve(home, ROLLED_BACK, key, history[-2], signer, {"reason": reason})


def _moves(entry: dict[str, Any], key: str) -> bool:
    return entry["kind"] in (PROMOTED, ROLLED_BACK) and entry["statement"]["key"] == key


def _serve(home: Home, kind: str, key: str, digest: str, signer: Signer, more: dict[str, str]) -> dict[str, Any]:
    """Verify the bytes, state it, then move the pointer: one that the ledger does not know of never stands."""
    store = ArtifactStore(home.artifacts)
    with only_writer(home, key, wait=WAIT, waiting=lambda _: None):
        for said in Ledger(home.ledger).statements("withdrawn", key=key, digest=digest):
            raise VerdictError(
                f"{key}@{digest[:12]} was withdrawn by {said.get('erasure', 'a run')}",
                rule="a model that learnt from an erased document never serves again",
                mend="promote its successor",
            )
        store.verify(key, digest)
        previous = store.serving(key)
        said = {"key": key, "digest": digest, "previous": previous, "undoes": kind == ROLLED_BACK, **more}
        signed = envelope(service(key, digest, {"kind": kind, "previous": previous, **more}), signer)
        owner = {"owner": signer.key.owner, "kid": signer.key.kid}
        entry = Ledger(home.ledger).append(kind, {**said, **owner, "envelope": signed})
        store.serve(key, digest)
    return entry


def _reason(text: str, option: str) -> str:
    try:
        return TypeAdapter(Reason).validate_python(text)
    except ValidationError as error:
        raise UserError(f"{option} {text!r}", rule="10 characters or more", mend="say why") from error


def _who(person: str) -> str:
    return " ".join(person.casefold().split())
