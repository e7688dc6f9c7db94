"""Versions in a store with what a test writes, where no stage needs to run."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from forge_dagster.home import Home
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.provenance.files import content_digest, list_files
from forge_dagster.provenance.record import FileEntry, Identity, InputRef, Record
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.stage import Report


def commit(
    home: Home, key: str, inputs: Mapping[str, InputRef], fill: Callable[[Path], object], config: Mapping[str, Any]
) -> InputRef:
    """Put a version into the store with what `fill` writes, and let CURRENT name it."""
    store, staging = ArtifactStore(home.artifacts), home.work / "staged"
    (staging / "content").mkdir(parents=True)
    (staging / "beside").mkdir()
    (staging / "beside" / "run.json").write_text(json.dumps({"machine": {"node": "here"}, "seconds": 1.0}))
    fill(staging / "content")
    files = list_files(staging / "content")
    identity = Identity(key=key, inputs=inputs, config=config, code_version="c" * 64, numerics=None)
    record = Record(
        digest=content_digest(files), fingerprint=identity.fingerprint(), identity=identity,
        report=Report(counts={}), files={name: FileEntry.model_validate(each) for name, each in files.items()},
    )  # fmt: skip
    store.folder(key).mkdir(parents=True, exist_ok=True)
    store.commit(staging, record)
    store.point(key, record.digest)
    return InputRef(key=key, digest=record.digest)


def stored(root: Path, fill: Callable[[Path], object]) -> tuple[Graph, Node]:
    """A store with one artifact, `corpus`."""
    home = Home(root)
    ref = commit(home, "corpus", {}, fill, {})
    return Graph(ArtifactStore(home.artifacts)), Node("corpus", ref.digest)
