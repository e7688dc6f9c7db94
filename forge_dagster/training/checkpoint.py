"""Mid-run checkpoints: a folder of safetensors and JSON that is whole or not there, and verified when read."""

import json
import mmap
import os
import re
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from forge_dagster.errors import IntegrityError, StorageError

MANIFEST = "MANIFEST.json"
STEP = re.compile(r"step-(\d{9})")
KEEP = 2
SECONDS_BETWEEN = 20.0
MOST_TIME_SAVING = 0.02
"""Part of the time that may go into checkpoints: where one takes long, they are made more seldom."""


@dataclass(frozen=True)
class Checkpoint:
    """What `save` was given, read back and verified."""

    step: int
    tensors: dict[str, dict[str, Tensor]]
    state: dict[str, Any]


def save(
    folder: Path,
    step: int,
    tensors: Mapping[str, Mapping[str, Tensor]],
    state: Mapping[str, Any],
    *,
    keep: Collection[int],
) -> Path:
    """Write `folder`/step-<step> and remove all but the last two and those of the steps in `keep`.

    `tensors` maps a file name to its tensors.

    Staged, each file flushed to the disk, the manifest of digests last, then renamed: a crash at any point leaves
    either the whole checkpoint or none. OSError (a full disk) propagates, with earlier checkpoints intact.
    """
    staging = folder / f".staging-{step:09d}"
    _remove(staging)
    staging.mkdir(parents=True)
    try:
        for name, group in tensors.items():
            with disk_errors():
                save_file({key: value.contiguous() for key, value in group.items()}, staging / f"{name}.safetensors")
        (staging / "state.json").write_text(json.dumps({"step": step, **state}, sort_keys=True), encoding="utf-8")
        files = sorted(staging.iterdir())
        for path in files:
            _flush(path)
        manifest = {path.name: _digest(path) for path in files}
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True), encoding="utf-8")
        _flush(staging / MANIFEST)
        _flush(staging)
        target = folder / f"step-{step:09d}"
        _remove(target)
        staging.rename(target)
        _flush(folder)
    except OSError:
        _remove(staging)
        raise
    for old in checkpoints(folder)[KEEP:]:
        if step_of(old) not in keep:
            shutil.rmtree(old)
    return target


def load_newest(folder: Path, *, tell: Callable[[str], None]) -> Checkpoint | None:
    """Return the newest checkpoint whose bytes are as written, or None if there has never been one.

    A checkpoint that differs is renamed to `.corrupt-...`, told, and the one before is tried. Raises IntegrityError
    if there are checkpoints but none is sound: beginning at zero without a word would hide a failing disk.
    """
    for stale in folder.glob(".staging-*"):
        shutil.rmtree(stale)
    found = checkpoints(folder)
    for path in found:
        problem = differs(path)
        if not problem:
            return _read(path)
        path.rename(folder / f".corrupt-{path.name}-{len(list(folder.glob('.corrupt-*')))}")
        tell(f"checkpoint {path.name} is corrupt ({problem}); trying the one before")
    if found:
        raise IntegrityError(
            f"all {len(found)} checkpoints in {folder} are corrupt",
            rule="a training goes on from a checkpoint whose bytes are as written",
            mend="check the disk, remove that folder, and run again to begin at step 0",
        )
    return None


def load(folder: Path, step: int) -> Checkpoint:
    """Return the checkpoint of one step. Raises IntegrityError if its bytes are not as written."""
    path = folder / f"step-{step:09d}"
    problem = differs(path)
    if problem:
        raise IntegrityError(
            f"{path} is corrupt ({problem})",
            rule="a training that diverges goes back to this checkpoint and no other",
            mend=f"check the disk, remove {folder}, and run again to begin at step 0",
        )
    return _read(path)


def resume(folder: Path, identity: Mapping[str, str], *, tell: Callable[[str], None]) -> Checkpoint | None:
    """Return the newest sound checkpoint of this training. Raises IntegrityError if it belongs to another one."""
    found = load_newest(folder, tell=tell)
    if found is None:
        return None
    theirs = found.state["identity"]
    other = [name for name in sorted({*identity, *theirs}) if theirs.get(name) != identity.get(name)]
    if other:
        raise IntegrityError(
            f"the checkpoints in {folder} are of another "
            + ", ".join(f"{name} ({theirs.get(name)}, now {identity.get(name)})" for name in other),
            rule="a training resumes with the seed, model, settings and data it began with",
            mend="undo the change, or remove that folder to begin at step 0",
        )
    return found


def preflight(folder: Path, size: int, *, retained: int = 0) -> None:
    """Raise StorageError unless the disk holds the checkpoints of a training; `size` is one's bytes, about.

    Two newest and two to go back to are kept, and one is staged while they are; `retained` more outlive the training.
    """
    count = KEEP + 2 + 1 + retained
    folder.mkdir(parents=True, exist_ok=True)
    standing = sum(file.stat().st_size for path in checkpoints(folder) for file in path.iterdir())
    need, free = count * size - standing, shutil.disk_usage(folder).free
    if free < need:
        raise StorageError(
            f"{folder} has {free / 1e6:,.0f} MB free, the checkpoints of this training take {need / 1e6:,.0f} MB more",
            rule=f"there is room for {count} checkpoints of {size / 1e6:,.0f} MB before a training begins",
            mend="free space there, or set FORGE_HOME to a larger disk",
        )


def checkpoints(folder: Path) -> list[Path]:
    """Return the folders of the checkpoints, newest first."""
    if not folder.is_dir():
        return []
    return sorted((path for path in folder.iterdir() if STEP.fullmatch(path.name)), reverse=True)


def next_due(begun: float | None = None) -> float:
    """Return when the next checkpoint is due, by time.monotonic; `begun`: when saving the last one began, if any."""
    now = time.monotonic()
    return now + max(SECONDS_BETWEEN, (now - begun) / MOST_TIME_SAVING if begun is not None else 0.0)


def step_of(path: Path) -> int:
    """Return the steps done at a checkpoint, from its name."""
    return int(path.name.removeprefix("step-"))


def differs(path: Path) -> str:
    """Return which file of a checkpoint is not as its manifest says; empty if none."""
    try:
        manifest = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return f"{MANIFEST} is missing or unreadable"
    for name, digest in manifest.items():
        if not (path / name).is_file():
            return f"{name} is missing"
        if _digest(path / name) != digest:
            return f"{name} differs"
        if name.endswith(".safetensors") and not _is_safetensors(path / name):
            return f"{name} is no safetensors file"
    return ""


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raise OSError for what the disk refuses inside the block; safetensors hides its number in a message."""
    try:
        yield
    except SafetensorError as error:
        number = re.search(r"os error (\d+)", str(error))
        if number is None:
            raise
        raise OSError(int(number[1]), os.strerror(int(number[1]))) from error


def _is_safetensors(path: Path) -> bool:
    try:
        with safe_open(path, framework="pt"):
            return True
    except SafetensorError:
        return False


def _digest(path: Path) -> str:
    """XXH3 of a file: it finds what a disk or a crash did, at the speed of memory. Artifacts have SHA-256."""
    with path.open("rb") as file:
        if not path.stat().st_size:
            return xxhash.xxh3_128_hexdigest(b"")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return xxhash.xxh3_128_hexdigest(data)


def _read(path: Path) -> Checkpoint:
    state = json.loads((path / "state.json").read_text(encoding="utf-8"))
    tensors = {file.stem: load_file(file) for file in sorted(path.glob("*.safetensors"))}
    return Checkpoint(step=state.pop("step"), tensors=tensors, state=state)


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
