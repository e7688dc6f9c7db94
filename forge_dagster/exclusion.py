"""What was erased, as data: signed exclusion lists in the ledger, and the places they leave empty in token shards."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from cryptography.exceptions import InvalidSignature
from pydantic import Field, StringConstraints

from forge_dagster.errors import IntegrityError
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.signing.dsse import opened
from forge_dagster.signing.keys import Key, KeyRing
from forge_dagster.stage import FrozenModel

ERASURE = "erasure"
"""Kind of the ledger's statement; its `envelope` holds the signed list."""
PREDICATE = "https://forge-dagster/exclusion/v1"
Sha256 = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


class Erased(FrozenModel):
    """One document that may not return: neither its bytes nor, where it was cleaned, its text."""

    document: Sha256
    texts: tuple[Sha256, ...] = Field(description="SHA-256 of its clean text, by each cleaning that stands")
    because: Literal["asked", "duplicate"]


class Hole(FrozenModel):
    """The place of an erased document among the training documents of token shards."""

    document: Sha256
    source: str
    number: int = Field(ge=0, description="its place in the index of the split `train`")
    length: int = Field(ge=1, description="tokens, the closing one included")


class Layout(FrozenModel):
    """What makes token shards keep the order of everything else: all holes of one version, old and new."""

    shards: str = Field(description="artifact key")
    tokenizer: Sha256 = Field(description="SHA-256 of tokenizer.json")
    rest: Sha256 = Field(description="fingerprint of the ids of the training documents that are left, in order")
    holes: tuple[Hole, ...]


class Exclusion(FrozenModel):
    """One signed exclusion list."""

    name: str
    reason: str
    documents: tuple[Erased, ...] = Field(min_length=1)
    layouts: tuple[Layout, ...]


def rest_of(documents: Iterable[str]) -> str:
    """Fingerprint of document ids in their order."""
    return fingerprint(list(documents))


def load_exclusions(ring: KeyRing) -> tuple[Exclusion, ...]:
    """The lists of the ring's ledger, oldest first, each checked against its key in the registry.

    Raises IntegrityError if one is not as it was signed: it would let a document return, or remove another.
    """
    said = list(ring.ledger.of(ERASURE))
    keys = {key.kid: key for key in ring.registry().keys} if said else {}
    return tuple(_exclusion(entry, keys) for entry in said)


def _exclusion(entry: Mapping[str, Any], keys: Mapping[str, Key]) -> Exclusion:
    where = f"exclusion list {entry['sequence']} of the ledger"
    try:
        statement, key = opened(entry["statement"]["envelope"], keys)
        found = Exclusion.model_validate(statement["predicate"])
    except (KeyError, TypeError, ValueError, InvalidSignature) as error:
        raise IntegrityError(
            f"{where} is not as it was signed ({type(error).__name__}: {error})",
            rule="what is erased stays erased: a list counts as it was signed, by a key of the registry",
            mend="restore ledger.jsonl and keys/registry.json from a copy",
        ) from error
    if statement["predicateType"] != PREDICATE or not key.holds_at(datetime.fromisoformat(entry["time"])):
        raise IntegrityError(
            f"{where} is signed by key {key.name}, which did not count at {entry['time']}, or of another kind",
            rule="a signature counts if its key is valid when it is made",
            mend="restore ledger.jsonl and keys/registry.json from a copy",
        )
    return found
