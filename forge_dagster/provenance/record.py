"""The record of an artifact: what it is, what made it, what it was made from."""

from collections.abc import Mapping
from typing import Any

from forge_dagster.provenance.canonical import canonical_json, fingerprint
from forge_dagster.stage import FrozenModel, Report


class InputRef(FrozenModel):
    """One input as it was read: an artifact by key and digest, or external bytes by digest (key is null)."""

    key: str | None
    digest: str


class FileEntry(FrozenModel):
    """One content file."""

    sha256: str
    bytes: int


class Identity(FrozenModel):
    """What decides an artifact's content; its fingerprint is the key of reuse."""

    key: str
    inputs: Mapping[str, InputRef]
    config: Mapping[str, Any]
    code_version: str
    numerics: Mapping[str, Any] | None

    def fingerprint(self) -> str:
        """SHA-256 of the canonical JSON of this identity."""
        return fingerprint(self.model_dump(mode="json"))


class Record(FrozenModel):
    """Written last beside the content; its presence means the artifact is whole."""

    schema_version: int = 1
    digest: str
    fingerprint: str
    identity: Identity
    report: Report
    files: Mapping[str, FileEntry]

    def to_bytes(self) -> bytes:
        """Canonical JSON of the record."""
        return canonical_json(self.model_dump(mode="json")) + b"\n"

    @property
    def key(self) -> str:
        return self.identity.key

    @property
    def bytes(self) -> int:
        """Size of the content in bytes."""
        return sum(entry.bytes for entry in self.files.values())
