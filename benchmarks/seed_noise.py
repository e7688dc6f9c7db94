"""How much scores move when nothing changes but the seed: a recipe trained again and again, and its noise as YAML.

`python -m benchmarks seed_noise RECIPE [--seeds 5]`. Trains the recipe on the declared documents in a home of its
own, kept in FORGE_BENCH or else temporary, and prints the standard deviation of each metric of the last checkpoint.
Put what it prints into the recipe: gates that ask for a gain read it there. A home in FORGE_BENCH keeps what stands, so
the same command goes on after a stop.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from forge_dagster.evaluation.statistics import noise_floor
from forge_dagster.home import folder_of
from forge_dagster.provenance.store import ArtifactStore


def _scores(recipe: str, seed: int, root: Path) -> dict[str, float]:
    """Scores of the last checkpoint of the recipe trained with this seed; its gates hold nothing back."""
    body = yaml.safe_load((folder_of("recipes") / f"{recipe}.yaml").read_text(encoding="utf-8"))
    recipes = root / f"recipes-{seed}"
    recipes.mkdir(parents=True, exist_ok=True)
    if "weights" in body:
        body["weights"]["location"] = str((folder_of("recipes") / body["weights"]["location"]).resolve())
    (recipes / f"{recipe}.yaml").write_text(yaml.safe_dump(body | {"seed": seed}), encoding="utf-8")
    environment = {**os.environ, "FORGE_HOME": str(root / "home"), "FORGE_RECIPES": str(recipes)}
    for name in ("DAGSTER_HOME", "FORGE_STORE"):
        environment.pop(name, None)
    subprocess.run(
        [sys.executable, "-m", "forge_dagster.cli.main", "run", "--recipe", recipe, "--json"],
        env=environment, stdout=subprocess.DEVNULL, check=False,  # a refused release is no matter here
    )  # fmt: skip
    store = ArtifactStore(root / "home" / "artifacts")
    key = f"{recipe}/scorecard"
    current = store.current(key)
    assert current is not None, f"{recipe} with seed {seed} was not scored: see `forge run --recipe {recipe}`"
    assert store.record(key, current).identity.config["seed"] == seed, f"training with seed {seed} failed"
    card = json.loads((store.content(key, current) / "scorecard.json").read_bytes())
    last = list(card["checkpoints"].values())[-1]
    return {metric: score["value"] for metric, score in last.items()}


def main(*options: str) -> None:
    """Print each metric's mean, standard deviation and noise floor, then the deviations as the recipe takes them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks seed_noise", description=__doc__)
    parser.add_argument("recipe", nargs="?", default="tiny-dense", help="name of a recipe")
    parser.add_argument("--seeds", type=int, default=5, help="trainings, at least 2")
    given = parser.parse_args(options)
    if given.seeds < 2:
        parser.error(f"--seeds {given.seeds}: one training has no spread; give 2 or more")
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(os.environ.get("FORGE_BENCH") or scratch)
        found = []
        for seed in range(1, given.seeds + 1):
            found.append(_scores(given.recipe, seed, root))
            print(f"seed {seed}: {json.dumps(found[-1])}", flush=True)
    print(f"\n{given.recipe}, {given.seeds} seeds")
    print("The floor is the difference that another seed exceeds in one of 20 cases, as far as so few can tell.")
    print(f"{'':<36}{'mean':>9}{'deviation':>11}{'floor':>9}")
    noise = {}
    for metric in sorted(found[0]):
        values = [scores[metric] for scores in found]
        noise[metric] = round(statistics.stdev(values), 5)
        floor = noise_floor(noise[metric], given.seeds)
        print(f"{metric:<36}{statistics.mean(values):>9.4f}{noise[metric]:>11.4f}{floor:>9.4f}")
    print("\n" + yaml.safe_dump({"noise_seeds": given.seeds, "noise": noise}, sort_keys=False))
