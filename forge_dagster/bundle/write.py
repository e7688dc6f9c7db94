"""Write a bundle: everything an auditor needs of one release, its signatures, and the verifier that checks them."""

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from forge_dagster.bundle import archive, verifier
from forge_dagster.bundle.bom import ml_bom
from forge_dagster.bundle.documents import packed
from forge_dagster.bundle.drafts import annex_iv, training_summary
from forge_dagster.bundle.environment import environment_bom
from forge_dagster.bundle.exports import croissant, prov_json
from forge_dagster.bundle.facts import Facts, gather
from forge_dagster.bundle.fingerprints import fingerprints
from forge_dagster.bundle.report import report
from forge_dagster.bundle.statements import provenance, seal
from forge_dagster.home import Home
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.lineage.sources_of import corpora_of
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.provenance.files import walk_files
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.signing.dsse import envelope
from forge_dagster.signing.keys import REGISTRY, KeyRing, Signer

VERSION = 2
ENTRY = '''"""Check this bundle: python verify.py [--questions] [--trust KEY_ID] [--head HASH]. Needs `cryptography`."""

import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from forge_dagster.bundle.verifier.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main())
'''


@dataclass(frozen=True, kw_only=True)
class Written:
    """A bundle: its file, size, the head of the ledger in it, and the key that sealed it."""

    path: Path
    bytes: int
    files: int
    head: str
    sequence: int
    kid: str


def write_bundle(
    home: Home, key: str, digest: str, ring: KeyRing, signer: Signer, out: Path, *, with_matches: bool = True
) -> Written:
    """Write the bundle of a release. The same release, keys and approvals give the same bytes but for `model.sig`.

    Without `with_matches` it holds no fingerprints of the text, by which whoever has it can test whether a sentence
    that they guess stands in a document.
    Raises IntegrityError if the release differs from its record or its chain is not whole.
    """
    store = ArtifactStore(home.artifacts)
    store.verify(key, digest)
    facts = gather(home, key, digest)
    files = _contents(store, facts, ring)
    if with_matches:
        corpora = corpora_of(Graph(store), Node(key, digest))
        files["documents/fingerprints.bin"] = fingerprints(corpora, facts.tree.ids)
    manifest = canonical_json(
        {
            "version": VERSION,
            "key": key,
            "digest": digest,
            "files": {n: archive.entry(c) for n, c in sorted(files.items())},
        }
    )
    stated = archive.entry(manifest)["sha256"]
    ledger, head = _ledger(
        Ledger(home.ledger), {"key": key, "digest": digest, "manifest": stated, "kid": signer.key.kid}
    )
    outer: dict[str, archive.Content] = {
        f"attestations/{link.file}.json": _json(envelope(provenance(link), signer)) for link in facts.links
    }
    outer |= {"manifest.json": manifest, "ledger.jsonl": ledger}
    outer["model.sig"] = sign_model(store.content(key, digest) / "model", signer)
    sealed = seal(
        {name: str(archive.entry(content)["sha256"]) for name, content in outer.items()},
        {"key": key, "digest": digest, "head": head["hash"], "sequence": head["sequence"], "owner": signer.key.owner},
    )
    files |= outer | {"seal.json": _json(envelope(sealed, signer))}
    archive.write_tar(files, out)
    return Written(
        path=out, bytes=out.stat().st_size, files=len(files), head=head["hash"], sequence=head["sequence"],
        kid=signer.key.kid,
    )  # fmt: skip


def sign_model(folder: Path, signer: Signer) -> bytes:
    """An OpenSSF model signature (Sigstore bundle v0.3) over every file of a folder, with no network."""
    import model_signing

    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model.sig"
        model_signing.signing.Config().use_elliptic_key_signer(private_key=signer.path).sign(folder, path)
        return path.read_bytes()


def _contents(store: ArtifactStore, facts: Facts, ring: KeyRing) -> dict[str, archive.Content]:
    """Every file that the manifest names."""
    content = store.content(facts.key, facts.digest)
    files: dict[str, archive.Content] = {
        f"release/{path.relative_to(content).as_posix()}": path for path in walk_files(content)
    }
    for link in facts.links:
        files[f"records/{link.file}.json"] = link.data
        files[f"runs/{link.file}.json"] = _json({"run": link.run, "findings": link.findings, "cost": link.cost})
        if link.record.key.endswith("_checkpoint") and "training.json" in link.record.files:
            folder = store.content(link.record.key, link.record.digest)
            files[f"training/{link.file}.json"] = (folder / "training.json").read_bytes()
    return files | {
        "evidence.jsonl": evidence_lines(content / "items.parquet"),
        "keys.json": (ring.folder / REGISTRY).read_bytes(),
        "documents/documents.jsonl.gz": packed([dict(row) for row in facts.documents]),
        "documents/tree.json": _json({"root": facts.tree.root, "count": len(facts.tree.ids)}),
        "documents/use.json": _json(facts.use),
        "changes.json": _json(facts.changes),
        "exports/bom.cdx.json": _json(ml_bom(facts)),
        "exports/environment.cdx.json": _json(environment_bom(facts)),
        "exports/prov.json": _json(prov_json(facts)),
        "exports/croissant.json": _json(croissant(facts)),
        "exports/training-summary.md": training_summary(facts).encode(),
        "exports/annex-iv.md": annex_iv(facts).encode(),
        "report.html": report(facts).encode(),
        "verify.py": ENTRY.encode(),
        **_verifier(),
    }


def evidence_lines(path: Path) -> bytes:
    """The results of items as JSON lines, for readers without Parquet."""
    return b"".join(canonical_json(row) + b"\n" for row in pq.read_table(path).to_pylist())


def _verifier() -> dict[str, archive.Content]:
    folder = Path(str(verifier.__file__)).parent
    files: dict[str, archive.Content] = {
        f"forge_dagster/bundle/verifier/{path.name}": path.read_bytes() for path in sorted(folder.glob("*.py"))
    }
    return files | {f"forge_dagster/{below}__init__.py": b'""\n' for below in ("", "bundle/")}


def _ledger(ledger: Ledger, said: Mapping[str, Any]) -> tuple[bytes, dict[str, Any]]:
    """The lines of the ledger up to the one that states this bundle, and that one; it is made unless it stands."""
    for entry in ledger.entries():
        if entry["kind"] == "bundle" and said.items() <= entry["statement"].items():
            break
    else:
        entry = ledger.append("bundle", dict(said))
    lines = ledger.path.read_bytes().split(b"\n")[: entry["sequence"] + 1]
    return b"\n".join(lines) + b"\n", entry


def _json(body: Any) -> bytes:
    return json.dumps(body, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"
