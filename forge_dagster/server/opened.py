"""The one release that a server or a chat speaks for: verified, not withdrawn, with its terms."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forge_dagster.errors import UserError, VerdictError
from forge_dagster.home import Home
from forge_dagster.model.serving import served_as_trained
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore


@dataclass(frozen=True)
class Served:
    """A release by key and digest, its model folder, and the label that its documents gave it."""

    key: str
    digest: str
    folder: Path
    label: Mapping[str, Any]

    @property
    def recipe(self) -> str:
        return self.key.partition("/")[0]

    def __str__(self) -> str:
        return f"{self.key}@{self.digest}"


def open_release(home: Home, key: str, digest: str | None = None) -> Served:
    """Verify the bytes of a release; without `digest` of the one that serves.

    Raises UserError if there is none, VerdictError if it was withdrawn or its tokenizer and template are not those of
    its training, IntegrityError naming the file that differs.
    """
    store = ArtifactStore(home.artifacts)
    digest = digest or store.serving(key)
    if digest is None:
        recipe = key.partition("/")[0]
        raise UserError(f"{recipe} has no release", rule="a release answers", mend=f"forge run --recipe {recipe}")
    for said in Ledger(home.ledger).statements("withdrawn", key=key, digest=digest):
        raise VerdictError(
            f"{key}@{digest[:12]} was withdrawn by {said.get('erasure', 'a run')}",
            rule="a model that learnt from an erased document never serves again",
            mend="name its successor",
        )
    store.verify(key, digest)
    content = store.content(key, digest)
    found = served_as_trained(content / "model")
    if not found.passed:
        raise VerdictError(
            f"{key}@{digest[:12]} reads a conversation as other tokens than its training did: {dict(found.observed)}",
            rule="a model is served with the token ids that it was trained on",
            mend="make the release again",
        )
    manifest = json.loads((content / "manifest.json").read_bytes())
    return Served(key=key, digest=digest, folder=content / "model", label=manifest["data"]["label"])
