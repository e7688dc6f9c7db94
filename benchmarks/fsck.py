"""`forge fsck` against `sha256sum` over the same files with as many processes: one for each core.

`python -m benchmarks fsck [--megabytes 2048] [--rounds 5]`. Both read from memory, so that hashing is what is measured.
"""

import argparse
import statistics
import subprocess
import tempfile
from pathlib import Path

from benchmarks._table import paired, show
from benchmarks._versions import release
from forge_dagster.home import Home
from forge_dagster.versions.fsck import fsck
from forge_dagster.versions.hashing import cores

TARGET = 0.8


def main(*options: str) -> None:
    """Print seconds of both, their ratio and the speed against the target."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks fsck", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args(options)
    with tempfile.TemporaryDirectory() as name:
        home = Home(Path(name))
        digest = release(home, given.megabytes)
        paths = [str(path) for path in (home.artifacts / "big/release" / digest).rglob("*") if path.is_file()]
        listed = "\0".join(paths).encode()

        def ours() -> None:
            found = fsck(home)
            assert found.problems == []
            assert found.files == len(paths)

        def theirs() -> None:
            command = ["xargs", "-0", "-n", "1", "-P", str(cores()), "sha256sum"]
            subprocess.run(command, input=listed, stdout=subprocess.DEVNULL, check=True)

        ours()  # imports of DVC; the command has them once
        row = ("forge fsck", *paired(ours, theirs, given.rounds))
    show(f"Checking {given.megabytes} MB in {len(paths)} files, {cores()} processes", [row], peer="sha256sum")
    print(f"{1 / statistics.median(row[-1]):.2f} of the speed of sha256sum (target {TARGET})")
