"""What a run ran in: the git commit of this project, what differs from it, the libraries, the lock, the hardware.
Recorded, never part of an identity: `code_version` and `numerics` decide there."""

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import psutil

from forge_dagster.home import PROJECT
from forge_dagster.provenance.nvml import gpu_names

LOCK = PROJECT / "constraints.txt"
CPUINFO = Path("/proc/cpuinfo")


@cache
def surroundings() -> dict[str, str | None]:
    """`commit`: null where the project is no git checkout or there is no git. `changes`: SHA-256 of what differs from
    it, null if nothing does, `unknown` if git cannot say. `environment`: SHA-256 of all distributions as name==version.
    `lock`: SHA-256 of constraints.txt, null where it is missing.
    """
    libraries = sorted({f"{each.metadata['Name']}=={each.version}" for each in distributions()})
    commit = _git("rev-parse", "HEAD")
    changed = _git("diff", "HEAD", "--binary", "--no-ext-diff", "--no-textconv") if commit else None
    added = _git("ls-files", "--others", "--exclude-standard", "-z") if commit else None
    return {
        "commit": commit.decode().strip() if commit else None,
        "changes": "unknown" if changed is None or added is None else _changes(changed, added),
        "environment": hashlib.sha256("\n".join(libraries).encode()).hexdigest(),
        "lock": hashlib.sha256(LOCK.read_bytes()).hexdigest() if LOCK.is_file() else None,
    }


def machine() -> dict[str, Any]:
    """Name, system and hardware: model of the processor, threads that this process may use, bytes of memory, GPUs."""
    return {
        "node": platform.node(),
        "system": platform.platform(),
        "processor": platform.machine(),
        "model": _processor_model(),
        "threads": len(os.sched_getaffinity(0)),
        "memory_bytes": psutil.virtual_memory().total,
        "gpus": gpu_names(),
    }


def _processor_model() -> str | None:
    """As the kernel names it; null on architectures where it does not."""
    text = CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.is_file() else ""
    names = [line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else None


def _git(*arguments: str) -> bytes | None:
    """What git prints, null if it cannot say."""
    command = ["git", "--no-pager", "-c", "core.fsmonitor=false", "-C", str(PROJECT), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def _changes(changed: bytes, added: bytes) -> str | None:
    names = sorted(name for name in added.split(b"\0") if name)
    if not changed and not names:
        return None
    state = hashlib.sha256(changed)
    for name in names:
        path = PROJECT / name.decode(errors="surrogateescape")
        state.update(b"\0" + name + b"\0")
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as stream:
                state.update(hashlib.file_digest(stream, "sha256").digest())
    return state.hexdigest()
