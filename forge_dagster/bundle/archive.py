"""One tar of named files: the same files give the same bytes."""

import hashlib
import io
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

from forge_dagster.provenance.files import sha256_file

Content = bytes | Path


def entry(content: Content) -> dict[str, str | int]:
    """SHA-256 and size of a file."""
    if isinstance(content, bytes):
        return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return {"sha256": sha256_file(content), "bytes": content.stat().st_size}


def write_tar(files: Mapping[str, Content], out: Path) -> None:
    """Write the files in order of their names, without times, owners or modes of their own; `out` appears whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    staged = out.with_name(f".{out.name}.{os.getpid()}")
    try:
        with tarfile.open(staged, "w", format=tarfile.PAX_FORMAT) as archive:
            for name in sorted(files):
                _add(archive, name, files[name])
        staged.replace(out)
    finally:
        staged.unlink(missing_ok=True)


def _add(archive: tarfile.TarFile, name: str, content: Content) -> None:
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    info.size = len(content) if isinstance(content, bytes) else content.stat().st_size
    with io.BytesIO(content) if isinstance(content, bytes) else content.open("rb") as stream:
        archive.addfile(info, stream)
