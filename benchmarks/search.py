"""A study against random search at an equal budget of training operations, over several seeds of the choices.

`python -m benchmarks search [--seeds 5] [--trials 14] [--tokens 40960] [--sampler gp] [--plot FILE]`. A small model of
the shape of recipes/tiny-dense.yaml learns data/sample, its learning rates a quarter of the recipe's, as if nobody had
tuned them. Both begin with these settings, search the same wide ranges and may spend what `--trials` whole trials cost:
the study (batches of 2, median pruner) and random points that are all trained to their end. What is compared are
operations, so how busy the machine is has no say in it. A folder in FORGE_BENCH keeps what was trained, so the same
command goes on after a stop.
"""

import argparse
import os
import statistics
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks._training import RECIPE, VOCABULARY, token_shards
from forge_dagster.home import PROJECT
from forge_dagster.recipe import Recipe, load_recipe
from forge_dagster.search import found, trials
from forge_dagster.search.found import FILE, Found
from forge_dagster.search.space import StudyConfig
from forge_dagster.stage import local_context
from forge_dagster.study import Study

SHAPE = {"hidden_size": 64, "intermediate_size": 128, "layers": 2, "heads": 2, "kv_heads": 2, "head_dim": 32}
BATCH_TOKENS = 1024
UNTUNED = 0.25
SPACE: dict[str, dict[str, Any]] = {
    "base.muon_lr": {"low": 0.001, "high": 0.3, "log": True},
    "base.embedding_lr": {"low": 0.003, "high": 1.0, "log": True},
    "base.head_lr": {"low": 0.0005, "high": 0.3, "log": True},
    "base.decay_share": {"low": 0.1, "high": 0.9},
}
PIECES = 4
ARMS: dict[str, dict[str, Any]] = {
    "study": {"batch": 2, "pruner": "median"},
    "random": {"batch": 2, "pruner": "none", "sampler": "random"},
}
MORE = 4
"""A study ends trials early, so it may begin more of them than its budget pays whole ones."""


def _recipe() -> Recipe:
    """The recipe that nobody tuned."""
    tuned = load_recipe(RECIPE)
    assert tuned.model is not None, "tiny-dense is made from scratch"
    first = tuned.stages[0]
    rates = {name: value * UNTUNED for name, value in first.settings.items() if name.endswith("_lr")}
    settings = {**first.settings, **rates, "batch_tokens": BATCH_TOKENS, "rewind_steps": 1000}
    stages = (first.model_copy(update={"settings": settings}),)
    return tuned.model_copy(update={"model": tuned.model.model_copy(update=SHAPE), "stages": stages})


def _study(given: argparse.Namespace, recipe: Recipe, arm: str, seed: int) -> Study:
    body = {
        "name": f"{arm}-{seed}", "recipe": recipe.name, "seed": seed, "metric": "validation_bits_per_byte",
        "space": SPACE, "trials": min(MORE * given.trials, 200), "operations": None, "pieces": PIECES,
        "proxy": {"tokens": given.tokens, "width": SHAPE["hidden_size"]}, "sampler": given.sampler,
    } | ARMS[arm]  # fmt: skip
    study = Study.model_validate(body)
    budget = given.trials * trials.most_of_a_trial(study, recipe, VOCABULARY)
    return study.model_copy(update={"operations": budget})


def _searched(inputs: Mapping[str, Path], study: Study, recipe: Recipe, folder: Path) -> Found:
    """Run a study in a folder, or take it from there."""
    out = folder / "out"
    if not (out / FILE).is_file():
        out.mkdir(parents=True, exist_ok=True)
        trials.run(inputs, StudyConfig(study=study, recipe=recipe), out, local_context(folder))
    done, _ = found.read(out)
    assert (done.study, done.recipe) == (study, recipe), f"{out} is of another study: empty FORGE_BENCH"
    return done


def main(*options: str) -> None:
    """Search with both, print a table of seeds, and draw the best value over what was spent."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks search", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--trials", type=int, default=14, help="whole trials that the budget pays")
    parser.add_argument("--tokens", type=int, default=40_960, help="of a trial")
    parser.add_argument("--sampler", choices=("gp", "tpe"), default="gp")
    parser.add_argument("--plot", type=Path, help="where the curves are drawn")
    given = parser.parse_args(options)
    recipe = _recipe()
    searched: dict[str, list[Found]] = {arm: [] for arm in ARMS}
    with tempfile.TemporaryDirectory() as scratch, token_shards(PROJECT / "data" / "sample" / "documents") as data:
        root = Path(os.environ.get("FORGE_BENCH") or scratch)
        inputs = {"token_shards": data, "tokenizer": data.parent / "tokenizer"}
        print(f"\nValidation bits per byte at equal budget: {given.trials} trials of {given.tokens:,} tokens")
        print(f"{'seed':<6}{'untuned':>9}" + "".join(f"{arm:>9}{'trials':>8}{'early':>7}" for arm in ARMS))
        for seed in range(1, given.seeds + 1):
            line = ""
            for arm in ARMS:
                study = _study(given, recipe, arm, seed)
                one = _searched(inputs, study, recipe, root / study.name)
                searched[arm].append(one)
                line += f"{_best(one):>9.4f}{len(one.trials):>8}{one.count('pruned'):>7}"
            print(f"{seed:<6}{searched['study'][-1].trials[0].value or float('nan'):>9.4f}{line}", flush=True)
    _sum_up(searched)
    if given.plot is not None:
        _draw(searched, given.plot)
        print(f"Curves: {given.plot}")


def _best(one: Found) -> float:
    value = one.trials[one.best].value
    assert value is not None, "the best trial is complete"
    return value


def _sum_up(searched: Mapping[str, list[Found]]) -> None:
    """Means, and what the study needed to reach where random search ended."""
    ours, random = ([_best(one) for one in searched[arm]] for arm in ("study", "random"))
    lower = sum(a < b for a, b in zip(ours, random, strict=True))
    print(f"{'mean':<15}{statistics.mean(ours):>9.4f}{'':>15}{statistics.mean(random):>9.4f}")
    print(f"The study ends lower with {lower} of {len(ours)} seeds.")
    shares = []
    for one, aim in zip(searched["study"], random, strict=True):
        reached = [spent for spent, value in one.best_so_far() if value <= aim]
        if reached:
            shares.append(reached[0] / (one.study.operations or 1))
    if shares:
        print(
            f"It reaches where random search ended with {len(shares)} of {len(ours)} seeds, there after a median "
            f"{statistics.median(shares):.0%} of the budget."
        )


def _draw(searched: Mapping[str, list[Found]], path: Path) -> None:
    """One thin line a seed, and the mean of each arm; what the first quarter of the budget gives may lie above."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained", dpi=100)
    axes = figure.subplots()
    for (arm, runs), colour in zip(searched.items(), ("tab:blue", "tab:orange"), strict=True):
        curves = [one.best_so_far() for one in runs]
        for curve in curves:
            axes.step(*zip(*curve, strict=True), where="post", color=colour, linewidth=0.5, alpha=0.5)
        grid = np.linspace(max(curve[0][0] for curve in curves), max(curve[-1][0] for curve in curves), 200)
        at = [[[value for spent, value in curve if spent <= point][-1] for point in grid] for curve in curves]
        mean = np.mean(at, axis=0)
        axes.plot(grid, mean, color=colour, label=f"{arm}, mean of {len(runs)}")
        axes.set_ylim(top=max(mean[len(grid) // 4], mean[-1] * 1.05))
    axes.set_xlabel("training operations")
    axes.set_ylabel("lowest validation bits per byte so far")
    axes.grid(linewidth=0.4)
    axes.legend()
    figure.savefig(path)
