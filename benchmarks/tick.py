"""A tick of the sensor over a source in which nothing changed, against `find -printf` over the same tree."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from benchmarks._table import paired, show
from forge_dagster.corpus.settling import Settling

ROUNDS = 3
FOLDER = 1000  # files of one folder
LISTED = "%p %s %T@ %C@ %i\\n"


def make_tree(root: Path, files: int) -> None:
    """Files of a line each, 1,000 a folder."""
    for start in range(0, files, FOLDER):
        folder = root / f"{start // FOLDER // 100:02}" / f"{start // FOLDER:04}"
        folder.mkdir(parents=True)
        for number in range(start, min(start + FOLDER, files)):
            (folder / f"document-{number:07}.md").write_text(f"Document {number}.\n")


def main(files: str = "1000000", tree: str = "") -> None:
    """Print both and how many of the files were opened; `tree` is a folder made before, which stays."""
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        folder = Path(tree) if tree else root / "documents"
        if not tree:
            make_tree(folder, int(files))
        (root / "sources").mkdir()
        source = {"name": "docs", "kind": "folder", "location": str(folder), "owner": "o", "licence": "internal"}
        (root / "sources" / "docs.yaml").write_text(yaml.safe_dump(source | {"sensitivity": "internal"}))
        os.environ |= {"FORGE_HOME": str(root / "home"), "FORGE_SOURCES": str(root / "sources")}
        os.environ.pop("FORGE_STORE", None)
        _measure(folder)


def _measure(folder: Path) -> None:
    import dagster as dg

    from forge_dagster.corpus.kinds import folder as kind
    from sensors.source_changes import evaluate

    opened: list[str] = []
    below = str(folder) + os.sep

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open" and str(arguments[0]).startswith(below):
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)
    mark = kind.watermark(str(folder), kind.Settings())
    cursor = json.dumps({"docs": Settling(mark=mark).model_dump()})
    found: list[str | None] = []

    def tick() -> None:
        context = dg.build_sensor_context(instance=dg.DagsterInstance.ephemeral(), cursor=cursor)
        found.extend(each.skip_message for each in evaluate(context, 1e9) if isinstance(each, dg.SkipReason))

    def find() -> None:
        subprocess.run(["find", folder, "-type", "f", "-printf", LISTED], stdout=subprocess.DEVNULL, check=True)

    ours, theirs, ratios = paired(tick, find, ROUNDS)
    count = sum(len(names) for _, _, names in os.walk(folder))
    show(f"A tick in which none of {count:,} files changed", [("tick", ours, theirs, ratios)], peer="find -printf")
    assert set(found) == {"no source moved"}, found
    print(f"files opened: {len(opened)}; median ratio {statistics.median(ratios):.2f}")
