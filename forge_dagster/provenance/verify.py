"""The verifier: recomputes every digest from raw bytes, and shares no code with the writer."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Findings:
    """What a verification read, and every problem it met."""

    artifacts: int = 0
    files: int = 0
    bytes: int = 0
    documents: int = 0
    statements: int = 0
    problems: list[str] = field(default_factory=list)


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _hash_file(path: Path) -> tuple[str, int]:
    state, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            state.update(block)
            size += len(block)
    return state.hexdigest(), size


def verify_ledger(path: Path, findings: Findings) -> dict[tuple[str, str, str], str]:
    """Recompute the chain; return the record digest that each (key, digest, fingerprint) was stated with."""
    stated: dict[tuple[str, str, str], str] = {}
    previous = "0" * 64
    lines = path.read_bytes().split(b"\n") if path.exists() else []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            entry = json.loads(line)
            body = {name: value for name, value in entry.items() if name != "hash"}
            sound = entry["previous"] == previous and _digest(body) == entry["hash"]
            sound = sound and entry["sequence"] == findings.statements
            if sound and entry["kind"] == "artifact":
                said = entry["statement"]
                stated[said["key"], said["digest"], said["fingerprint"]] = said["record"]
        except (ValueError, KeyError, TypeError):
            findings.problems.append(f"{path}:{number}: not a statement")
            return stated
        if not sound:
            findings.problems.append(f"{path}:{number}: the chain is broken here")
            return stated
        previous = entry["hash"]
        findings.statements += 1
    return stated


def _verify_documents(content: Path, findings: Findings, label: str) -> None:
    """Raw documents: each row's id is the SHA-256 of its bytes."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(content / "documents.parquet")
    for batch in table.iter_batches(batch_size=64, columns=["id", "path", "bytes"]):
        for row in batch.to_pylist():
            findings.documents += 1
            if hashlib.sha256(row["bytes"]).hexdigest() != row["id"]:
                findings.problems.append(f"{label}: document {row['path']} differs from its id {row['id'][:12]}")


def _hash_content(content: Path, findings: Findings) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(content.rglob("*")):
        if path.is_dir() and not path.is_symlink():
            continue
        if path.is_symlink() or not path.is_file():
            findings.problems.append(f"{path}: a link or a special file")
            continue
        sha256, size = _hash_file(path)
        found[path.relative_to(content).as_posix()] = {"sha256": sha256, "bytes": size}
        findings.files += 1
        findings.bytes += size
    return found


def _compare(content: Path, found: dict[str, Any], stated: dict[str, Any], label: str, findings: Findings) -> None:
    for name in sorted(set(found) | set(stated)):
        if name not in found:
            findings.problems.append(f"{content / name}: missing from {label}")
        elif name not in stated:
            findings.problems.append(f"{content / name}: not in the record of {label}")
        elif found[name] != stated[name]:
            findings.problems.append(f"{content / name}: differs from the record of {label}")


def _verify_record(
    path: Path, key: str, digest: str, stated: dict[tuple[str, str, str], str], findings: Findings
) -> dict[str, Any] | None:
    """Check one record against its name and the ledger; return it if it can be read."""
    data = path.read_bytes()
    try:
        record = json.loads(data)
        named = record["identity"]["key"], record["digest"], record["fingerprint"]
        fingerprint = _digest(record["identity"])
        record["files"].items(), record["identity"]["inputs"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        findings.problems.append(f"{path}: damaged ({type(error).__name__})")
        return None
    if named != (key, digest, path.stem):
        findings.problems.append(f"{path}: is the record of {named[0]}@{str(named[1])[:12]}")
    if fingerprint != path.stem:
        findings.problems.append(f"{path}: the fingerprint does not follow from the identity")
    said = stated.get((key, digest, path.stem))
    if said is None:
        findings.problems.append(f"{path}: the ledger has no statement of it")
    elif said != hashlib.sha256(data).hexdigest():
        findings.problems.append(f"{path}: differs from its statement in the ledger")
    return record


def _verify_version(
    folder: Path, key: str, digest: str, stated: dict[tuple[str, str, str], str], findings: Findings
) -> list[tuple[str, str]]:
    """Check one version; return the (key, digest) of each artifact it was made from."""
    label, content, before = f"{key}@{digest[:12]}", folder / "content", len(findings.problems)
    found = _hash_content(content, findings)
    paths = sorted((folder / "records").glob("*.json"))
    if not paths:
        findings.problems.append(f"{folder}: missing, or has no record")
        return []
    inputs: list[tuple[str, str]] = []
    for path in paths:
        record = _verify_record(path, key, digest, stated, findings)
        if record is not None:
            _compare(content, found, record["files"], label, findings)
            refs = record["identity"]["inputs"].values()
            inputs += [(ref["key"], ref["digest"]) for ref in refs if ref["key"] is not None]
    if len(findings.problems) == before and _digest(found) != digest:
        findings.problems.append(f"{folder}: the content has another digest than its folder name")
    if key.startswith("raw_documents/") and len(findings.problems) == before:
        _verify_documents(content, findings, label)
    return inputs


def verify(
    artifacts: Path,
    ledger: Path,
    targets: list[tuple[str, str]],
    progress: Callable[[int, str], None] = lambda done, label: None,
) -> Findings:
    """Verify each (key, digest) and everything it was made from, down to the raw documents."""
    findings = Findings()
    stated = verify_ledger(ledger, findings)
    seen: set[tuple[str, str]] = set()
    todo = list(targets)
    while todo:
        key, digest = todo.pop()
        if (key, digest) in seen:
            continue
        seen.add((key, digest))
        progress(findings.artifacts, key)
        todo += _verify_version(artifacts / key / digest, key, digest, stated, findings)
        findings.artifacts += 1
    return findings


def everything(artifacts: Path) -> Iterator[tuple[str, str]]:
    """Every (key, digest) folder of a store, whole or not; staging folders are not versions."""
    for folder in sorted(artifacts.rglob("content")):
        version = folder.parent
        relative = version.relative_to(artifacts)
        if len(version.name) == 64 and not any(part.startswith(".") for part in relative.parts):
            yield relative.parent.as_posix(), version.name
