"""dvc.lock kept true after runs that DVC did not start: which of its stages no longer say what the files are."""

import hashlib
import os
from pathlib import Path
from typing import Any

import yaml

from forge_dagster.versions.repository import Opened, patiently

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] | None = None
    if path.exists():
        found = yaml.load(path.read_text(encoding="utf-8"), LOADER)
    return (found or {}).get("stages") or {}


def _locked(path: Path) -> dict[str, Any]:
    """Stages of dvc.lock; none if it was torn by a crash or holds the marks of a merge: it is written anew."""
    try:
        return _read(path)
    except (yaml.YAMLError, AttributeError):
        return {}


def _md5(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def stale_stages(root: Path) -> list[str]:
    """Stages of dvc.yaml whose files all exist and are not as dvc.lock has them."""
    locked, stale = _locked(root / "dvc.lock"), []
    for name, stage in _read(root / "dvc.yaml").items():
        paths = [*stage.get("deps", []), *(path for out in stage["outs"] for path in out)]
        if all((root / path).is_file() for path in paths):
            entry = locked.get(name, {})
            known = {each["path"]: each.get("md5") for part in ("deps", "outs") for each in entry.get(part, [])}
            if entry.get("cmd") != stage["cmd"] or known != {path: _md5(root / path) for path in paths}:
                stale.append(name)
    return stale


def commit(opened: Opened) -> list[str]:
    """Write what the files are into dvc.lock; return the stages that were not so. Raises BusyError.

    `dvc repro` writes the stage that it runs by itself, and holds it meanwhile.
    """
    root = Path(opened.repo.root_dir)
    stale = [] if os.environ.get("DVC_STAGE") else stale_stages(root)
    if stale:
        if (root / "dvc.lock").exists() and not _locked(root / "dvc.lock"):
            Path(str(opened.repo.tmp_dir)).mkdir(exist_ok=True)
            (root / "dvc.lock").replace(Path(str(opened.repo.tmp_dir)) / "dvc.lock.damaged")
        patiently(opened.repo, lambda: _commit(opened, root / "dvc.yaml", stale))
    return stale


def _commit(opened: Opened, path: Path, names: list[str]) -> None:
    """`dvc commit --force` of these stages: one reading and one writing, not one for each."""
    with opened.repo.lock:
        stages = [stage for stage in opened.repo.stage.load_all(str(path)) if stage.name in names]
        for stage in stages:
            stage.save()
            stage.commit()
        stages[0].dvcfile.dump_stages(stages, update_pipeline=False)
