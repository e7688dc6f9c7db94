"""The model that serves, as an input: what the current release was made from, and not what would replace it.

It is no dependency of the graph, for it was made of the very artifact that reads it. A run takes it from the releases
that were current when it began. A release of the candidate itself is no incumbent of it: then the one that this
release was judged against stands, so that a second run changes nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from forge_dagster.provenance.record import InputRef
from forge_dagster.provenance.store import ArtifactStore

INPUT, CHECKPOINT = "incumbent", "checkpoint"


@dataclass(frozen=True, kw_only=True)
class Serving:
    """Keys of the release that serves and of the checkpoint that would take the place of its own."""

    release: str
    candidate: str


def incumbent(
    store: ArtifactStore, serving: Serving | None, current: str | None, digests: Mapping[str, str]
) -> dict[str, InputRef]:
    """The incumbent as an input by name; none if nothing serves. `current` is the release that was current."""
    if serving is None or current is None:
        return {}
    made_from = store.record(serving.release, current).identity.inputs
    same = made_from[CHECKPOINT].digest == digests[serving.candidate]
    found = made_from.get(INPUT) if same else made_from[CHECKPOINT]
    return {} if found is None else {INPUT: found}
