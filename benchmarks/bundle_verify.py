"""Verifying a bundle against hashing the same bytes with nothing else; the limit is SHA-256 on one core."""

import hashlib
import tempfile
from pathlib import Path

from benchmarks._small_release import KEY, small_release
from benchmarks._table import paired, show
from forge_dagster.bundle.verifier.checks import check
from forge_dagster.bundle.verifier.opened import Opened
from forge_dagster.bundle.write import write_bundle
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.signing.keys import KeyRing

SIZE = 512 << 20  # bytes of weights
DOCUMENTS = 5_000


def _verify(path: Path, kid: str) -> None:
    problems = check(Opened(path), [kid], []).problems
    assert not problems, problems


def _hash_only(path: Path) -> None:
    with path.open("rb") as stream:
        hashlib.file_digest(stream, "sha256")


def main() -> None:
    """Print the ratio of verifying a bundle to bare SHA-256 of its archive."""
    with tempfile.TemporaryDirectory() as folder:
        home, out = Home(Path(folder) / "home"), Path(folder) / "release.tar"
        digest = small_release(home, documents=DOCUMENTS, weights=SIZE)
        ring = KeyRing(home.root / "keys", Ledger(home.ledger))
        kid = ring.new("bench", "Bench", 1).kid
        write_bundle(home, KEY, digest, ring, ring.signer("bench"), out)
        rows = [("verify.py", *paired(lambda: _verify(out, kid), lambda: _hash_only(out), 9))]
    show(f"Verifying a bundle of {SIZE >> 20} MiB and {DOCUMENTS:,} documents", rows, peer="sha256")


if __name__ == "__main__":
    main()
