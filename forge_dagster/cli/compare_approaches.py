"""`forge compare-approaches`: training into the weights against fine-tuning and retrieval, under one budget."""

import os
from pathlib import Path
from typing import Annotated

import typer

from assets.comparisons import comparison_key
from assets.graph import all_hops
from forge_dagster import approaches
from forge_dagster.chain import checkpoint_key
from forge_dagster.cli.arms_table import show, show_plan
from forge_dagster.cli.console import Json, err, out, print_json
from forge_dagster.cli.general_base import general_base
from forge_dagster.cli.plan import select, with_ancestors
from forge_dagster.cli.progress import output_into
from forge_dagster.cli.run import bring_up_to_date, leave_unless_complete
from forge_dagster.cli.sources import Licence, Sources, use_folder
from forge_dagster.declared import load_declared
from forge_dagster.errors import UserError
from forge_dagster.evaluation import arms
from forge_dagster.home import home
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.recipe import Recipe, WeightsSpec


def command(
    recipe: Annotated[
        str, typer.Option(help="Recipe with base and sft; what these cost from scratch is the budget.")
    ] = "tiny-dense",
    sources: Sources = None,
    licence: Licence = "unknown",
    weights: Annotated[
        Path | None, typer.Option(help="Open weights to start from: a GGUF file or a Hugging Face folder.")
    ] = None,
    general: Annotated[
        Path | None, typer.Option(help="Without --weights: a folder of general text to train a base on.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="Print budget and recipes, and stop.")] = False,
    json: Json = False,
) -> None:
    """Compare from scratch, continued pre-training, SFT only and retrieval on the same items, under one budget.

    Each may spend the operations that the recipe spends on its base and sft stages, and one sequence of tokens for an
    answer, passages included. Without --weights a base of the recipe's shape is trained first, on documents of other
    organisations; it stands for open weights. The recipes are written into the home; each can be run by itself.

    Examples: `forge compare-approaches`; `forge compare-approaches --sources ~/handbooks --weights model.gguf`.
    """
    if weights is not None and general is not None:
        raise UserError("--weights and --general", rule="a base is given or trained", mend="leave one of them out")
    if sources is not None:
        use_folder(sources, licence)
    found = load_declared().recipes
    if recipe not in found:
        raise UserError(f"--recipe {recipe!r}", rule=f"a recipe is one of {', '.join(found)}", mend="choose one")
    given = found[recipe]
    folder = home().root / "approaches"
    if weights is None:
        spec, rates = general_base(given, folder, general, quiet=json), approaches.OWN_BASE
    else:
        spec, rates = _named(weights), approaches.OPEN_WEIGHTS
    budget, recipes = _planned(given, spec, rates, folder, quiet=json)
    made = approaches.comparison(given)
    if not json:
        show_plan(budget, recipes, made, folder)
    elif plan:
        print_json({"budget": budget, "recipes": [each.model_dump(mode="json") for each in recipes]})
    if plan:
        return
    key = comparison_key(made.name)
    digest = _make([key], quiet=json)[key]
    version = ArtifactStore(home().artifacts).here(key, digest)
    body = arms.read(version / "content")
    if json:
        print_json({**body.model_dump(mode="json"), "artifact": f"{key}@{digest}", "budget": budget})
        return
    show(body)
    out.print(f"Plot: {version / 'beside' / arms.PLOT}; items: {version / 'content'}", markup=False, soft_wrap=True)


def _named(weights: Path) -> WeightsSpec:
    """Open weights that a person names; whose they are is not asked, for nothing is released from here."""
    if not weights.exists():
        raise UserError(f"--weights {weights}: no such file or folder", mend="check the path, then run again")
    return WeightsSpec(
        name="open-weights", location=str(weights.resolve()), origin=f"{weights.name}, named by hand", licence="unknown"
    )


def _planned(
    given: Recipe, spec: WeightsSpec, rates: approaches.Rates, folder: Path, *, quiet: bool
) -> tuple[int, list[Recipe]]:
    """The budget, and the recipes that spend it, written into `folder` and used from here on."""
    for kind in ("recipes", "comparisons"):
        os.environ[f"FORGE_{kind.upper()}"] = str(folder / kind)
    # What the models cost is known when they are there to be counted; until then any numbers will do.
    guess = approaches.Price(a_token=1, an_epoch=1)
    approaches.write(folder, given, approaches.from_weights(given, spec, guess, budget=1 << 40, rates=rates))
    start, tokenizer = checkpoint_key(f"{given.name}-sft-only", "start"), f"tokenizer/{given.tokenizer_name}"
    digests = _make([start, tokenizer, "instructions"], quiet=quiet)
    places = {key: ArtifactStore(home().artifacts).content(key, digests[key]) for key in digests}
    with output_into(folder / "output.log"):  # libraries speak when they are imported
        scratch = _price(given, places[tokenizer], places["instructions"], None)
        price = _price(given, places[start], places["instructions"], places[start])
    budget = approaches.operations(given, scratch)
    others = approaches.from_weights(given, spec, price, budget=budget, rates=rates)
    approaches.write(folder, given, others)
    return budget, [approaches.trimmed(given), *others]


def _price(recipe: Recipe, tokenizer: Path, instructions: Path, model: Path | None) -> approaches.Price:
    """What the recipe's model costs, or the one in a folder, on the instructions in its tokens."""
    from forge_dagster.training.prices import price

    _, sft = approaches.parts(recipe)
    return approaches.Price(**price(recipe, tokenizer, instructions, model, sft.settings))


def _make(keys: list[str], *, quiet: bool) -> dict[str, str]:
    """Bring artifacts up to date; key -> digest. Leaves the command if one cannot be made."""
    declared = load_declared()
    hops = all_hops(declared)
    report = bring_up_to_date(declared, hops, with_ancestors(hops, select(hops, keys)), force=False, quiet=quiet)
    for error in report["errors"]:
        err.print("error: ", style="bold red", end="")
        err.print(f"{error['key']}: {error['message']}", markup=False)
    leave_unless_complete(report)
    return {row["artifact"]: row["digest"] for row in report["artifacts"] if row["artifact"] in keys}
