"""Small files beside CURRENT that DVC shows: scores as metrics, training curves as plots, manifests of releases."""

import json
from collections.abc import Callable

from forge_dagster.provenance.files import write_atomically
from forge_dagster.provenance.store import ArtifactStore


def _scores(card: bytes) -> bytes:
    """Scores of a scorecard by checkpoint and metric."""
    scores = {
        checkpoint: {metric: score["value"] for metric, score in metrics.items()}
        for checkpoint, metrics in json.loads(card)["checkpoints"].items()
    }
    return json.dumps(scores, indent=1, sort_keys=True).encode() + b"\n"


def _as_it_is(data: bytes) -> bytes:
    return data


SUMMARIES: dict[str, tuple[str, str, Callable[[bytes], bytes]]] = {
    "scorecard": ("CURRENT.metrics.json", "content/scorecard.json", _scores),
    "checkpoint": ("CURRENT.curve.csv", "beside/log.csv", _as_it_is),
    "release": ("CURRENT.manifest.json", "content/manifest.json", _as_it_is),
}
"""By the last word of an artifact key: name of the file, what it is made of, and how."""


def _kind(key: str) -> str:
    return key.rpartition("/")[2].rpartition("_")[2] if "/" in key else ""


def summary_of(key: str) -> str | None:
    """Name of the summary that an artifact has."""
    return SUMMARIES[_kind(key)][0] if _kind(key) in SUMMARIES else None


def write(store: ArtifactStore) -> None:
    """Bring the summary of each current version up to date; one that has not what it is made of gets none."""
    for key in store.all_keys():
        digest = store.current(key)
        if _kind(key) not in SUMMARIES or digest is None:
            continue
        name, source, made = SUMMARIES[_kind(key)]
        path, source_path = store.folder(key) / name, store.version(key, digest) / source
        is_old = not path.exists() or path.stat().st_mtime_ns < (store.folder(key) / "CURRENT").stat().st_mtime_ns
        if is_old and source_path.is_file():
            write_atomically(path, made(source_path.read_bytes()))
