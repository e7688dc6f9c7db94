"""`--sources`: a folder of source files, or a folder of documents that gets a source file of its own."""

import os
import re
from pathlib import Path

import yaml

from forge_dagster.errors import SourceError
from forge_dagster.home import home
from forge_dagster.source import read_yaml


def use_folder(folder: Path, licence: str) -> None:
    """Make this process, and the steps it starts, read its sources from `folder`. Raises SourceError."""
    if not folder.is_dir():
        raise SourceError(
            f"--sources {folder}: no such folder", rule="an existing folder", mend="check the path, then run again"
        )
    if not any(folder.glob("*.yaml")):
        folder = _describe(folder.resolve(), licence)
    os.environ["FORGE_SOURCES"] = str(folder.resolve())


def _describe(folder: Path, licence: str) -> Path:
    """Write the source file of a bare folder into the home; its owner can edit it there."""
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.name.lower()).strip("-_") or "documents"
    described = home().root / "sources" / name
    path = described / f"{name}.yaml"
    source = {
        "name": name,
        "kind": "folder",
        "location": str(folder),
        "owner": "unknown",
        "licence": licence,
        "sensitivity": "internal",
    }
    if path.exists():
        source = read_yaml(path) | ({} if licence == "unknown" else {"licence": licence})
    described.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(source, sort_keys=False), encoding="utf-8")
    return described
