"""The small file that DVC keeps of a version, and the list of files behind it."""

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from forge_dagster.errors import IntegrityError
from forge_dagster.provenance.files import write_atomically
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.stage import FrozenModel

TRACKED = "tracked"
"""Kind of the ledger's statement that a version has a pointer; what the pointer says comes with it."""

Version = tuple[str, str]
"""Key and digest."""


class Pointer(FrozenModel):
    """A version as DVC names it: MD5 of the list of its files, bytes and number of files."""

    md5: str
    size: int
    nfiles: int


def pointer_path(store: ArtifactStore, key: str, digest: str) -> Path:
    """`<key>/<digest>.dvc`, beside the folder of the version."""
    version = store.version(key, digest)
    return version.with_name(f"{version.name}.dvc")


def read_pointer(path: Path) -> Pointer | None:
    """The pointer in a `.dvc` file; None if the file is not there or is none of ours."""
    try:
        (out,) = yaml.safe_load(path.read_text(encoding="utf-8"))["outs"]
        return Pointer(md5=out["md5"], size=out["size"], nfiles=out["nfiles"])
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError, ValidationError):
        return None


def write_pointer(path: Path, pointer: Pointer) -> None:
    """Write the `.dvc` file as `dvc add` writes it."""
    out = {**pointer.model_dump(), "hash": "md5", "path": path.stem}
    write_atomically(path, yaml.safe_dump({"outs": [out]}, sort_keys=False).encode())


def ever_stated(ledger: Ledger) -> dict[Version, list[Pointer]]:
    """Every pointer that the ledger stated of each version, in its order.

    Homes that share a ledger may each have made a version: what lies beside the content then differs.
    """
    found: dict[Version, list[Pointer]] = defaultdict(list)
    for said in ledger.statements(TRACKED):
        found[said["key"], said["digest"]] += [Pointer(**{name: said[name] for name in Pointer.model_fields})]
    return dict(found)


def stated(ledger: Ledger) -> dict[Version, Pointer]:
    """The pointer of every version that was ever tracked, as the ledger last stated it."""
    return {version: pointers[-1] for version, pointers in ever_stated(ledger).items()}


def listing(odb: Any, pointer: Pointer) -> Mapping[str, str]:
    """MD5 of each file of a version by relative path, from an object database. Raises FileNotFoundError, OSError.

    Raises IntegrityError if the list is not the one that the pointer names.
    """
    import hashlib

    path = odb.oid_to_path(pointer.md5)
    with odb.fs.open(path, "rb") as stream:
        data = stream.read()
    if hashlib.md5(data, usedforsecurity=False).hexdigest() != pointer.md5.removesuffix(".dir"):
        raise IntegrityError(f"{path} differs from its name", mend="see `forge fsck`")
    return {entry["relpath"]: entry["md5"] for entry in json.loads(data)}
