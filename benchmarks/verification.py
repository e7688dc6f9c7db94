"""Verifying artifacts against hashing the same bytes with nothing else; the limit is SHA-256 on one core."""

import hashlib
import tempfile
from pathlib import Path

from benchmarks._table import paired, show
from forge_dagster.home import Home
from forge_dagster.provenance.build import Order, build
from forge_dagster.provenance.run import Run
from forge_dagster.provenance.verify import verify
from forge_dagster.stage import NoConfig, Report, Stage

SIZE = 256 << 20  # bytes


def run(inputs: object, config: object, out: Path, context: object) -> Report:
    """Write SIZE bytes in four files."""
    for number in range(4):
        (out / f"{number}.bin").write_bytes(bytes([number]) * (SIZE // 4))
    return Report()


STAGE = Stage(run=run)


def _hash_only(folder: Path) -> None:
    for path in sorted(folder.rglob("*.bin")):
        with path.open("rb") as stream:
            hashlib.file_digest(stream, "sha256")


def main() -> None:
    """Print the ratio of `forge verify` and of input verification to bare SHA-256."""
    with tempfile.TemporaryDirectory() as folder:
        home = Home(Path(folder))
        made = Run(home, "bench")
        made.freeze({})
        order = Order(key="blob", module=__name__, inputs={}, external={}, config=NoConfig(), numerics=None)
        digest = build(made, order, actor="bench", say=print).record.digest
        content = made.store.content("blob", digest)
        rows = [
            (
                "forge verify",
                *paired(
                    lambda: verify(home.artifacts, home.ledger, [("blob", digest)]), lambda: _hash_only(content), 5
                ),
            ),
            (
                "inputs before a build",
                *paired(lambda: made.store.verify("blob", digest), lambda: _hash_only(content), 5),
            ),
        ]
    show(f"Verifying {SIZE >> 20} MiB", rows, peer="sha256")
