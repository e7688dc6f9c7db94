"""`forge search`: settings of a recipe tried on small proxies, and the recipe that they propose."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from pydantic import ValidationError

from assets.graph import all_hops
from assets.studies import study_key
from forge_dagster.cli.console import Json, err, print_json
from forge_dagster.cli.plan import select, with_ancestors
from forge_dagster.cli.progress import output_into
from forge_dagster.cli.run import bring_up_to_date, leave_unless_complete
from forge_dagster.cli.sources import Licence, Sources, use_folder
from forge_dagster.cli.study_table import show, show_plan
from forge_dagster.declared import Declared, load_declared
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.recipe import Recipe
from forge_dagster.search import found
from forge_dagster.search.plan import plan_of
from forge_dagster.search.space import METRICS, check_study, first_of, usual_space
from forge_dagster.search.width import widths
from forge_dagster.source import explain
from forge_dagster.study import MOST_TRIALS, Study, Values, load_study

SHARE = 4
"""A proxy trains on one token in so many of the recipe, and is at least half as wide, unless told otherwise."""


def command(
    recipe: Annotated[str, typer.Argument(help="Recipe that begins with a base stage.")],
    vary: Annotated[
        list[str] | None,
        typer.Option(help="A setting and what it may be, STAGE.SETTING=LOW:HIGH, =LOW:HIGH:log or =A,B,C; repeatable."),
    ] = None,
    trials: Annotated[int, typer.Option(help=f"Trials at most, up to {MOST_TRIALS}.")] = 24,
    operations: Annotated[
        float | None, typer.Option(help="Training operations of all trials at most; default: trials alone count.")
    ] = None,
    tokens: Annotated[int | None, typer.Option(help="Tokens of a trial; default: a quarter of the recipe's.")] = None,
    width: Annotated[int | None, typer.Option(help="hidden_size of a trial's model; default: half or more.")] = None,
    metric: Annotated[str, typer.Option(help="Metric of the stage that is to be low.")] = METRICS[0],
    sampler: Annotated[str, typer.Option(help="Who chooses: gp, tpe or random.")] = "gp",
    pruner: Annotated[str, typer.Option(help="Who ends trials early: median, hyperband or none.")] = "median",
    batch: Annotated[int, typer.Option(help="Trials chosen at a time, which may run side by side.")] = 2,
    pieces: Annotated[int, typer.Option(help="Equal parts of a trial; after each it may be ended.")] = 4,
    seed: Annotated[int, typer.Option(help="Seed of the choices; trials train with the recipe's.")] = 0,
    study: Annotated[
        Path | None, typer.Option(help="All of this as a file, NAME.yaml (`forge schema study`), in place of options.")
    ] = None,
    sources: Sources = None,
    licence: Licence = "unknown",
    plan: Annotated[bool, typer.Option("--plan", help="Print trials, cost and stops, and end there.")] = False,
    as_json: Json = False,
) -> None:
    """Try settings of RECIPE's base stage on small models, and write the recipe that the best of them gives.

    One study is one artifact, study/NAME. Stopping it loses nothing: the same command goes on from there. Learning
    rates are carried from the proxy's width to the recipe's; the number of tokens they suit is the proxy's.

    Examples: `forge search tiny-dense --plan`; `forge search tiny-dense --vary base.muon_lr=0.005:0.08:log`.
    """
    if sources is not None:
        use_folder(sources, licence)
    os.environ.pop("FORGE_STUDIES", None)
    declared = load_declared()
    if recipe not in declared.recipes:
        known = ", ".join(declared.recipes)
        raise UserError(f"RECIPE {recipe!r}", rule=f"a recipe is one of {known}", mend="choose one")
    of = declared.recipes[recipe]
    chosen = _given(study, of) if study is not None else _asked_for(
        of, vary or [], name=recipe, recipe=recipe, seed=seed, metric=metric, trials=trials,
        operations=operations, batch=batch, pieces=pieces, sampler=sampler,
        pruner=pruner, proxy={"tokens": tokens or _tokens(of), "width": width or _width(of)},
    )  # fmt: skip
    check_study(chosen, of, frozenset(declared.sources))
    folder = home().root / "search" / chosen.name
    with output_into(folder / "output.log"):  # libraries speak when they are imported
        planned = plan_of(chosen, of)
    if plan and as_json:
        print_json(planned)
    if not as_json:
        show_plan(planned)
    if plan:
        return
    _declare(chosen, folder)
    key = study_key(chosen.name)
    digest = _make(key, load_declared(), quiet=as_json)
    version = ArtifactStore(home().artifacts).version(key, digest)
    body, proposal = found.read(version / "content")
    path = version / "content" / f"{proposal.name}.yaml"
    if as_json:
        told = body.model_dump(mode="json") | {"artifact": f"{key}@{digest}", "proposal": body.proposal}
        print_json(told | {"file": str(path)})
        return
    show(body, path, version / "beside")


def _given(path: Path, recipe: Recipe) -> Study:
    """The study of a file. Raises UserError if it is of another recipe or not there, RecipeError if it is none."""
    if not path.is_file():
        raise UserError(f"--study {path}: no such file", mend="check the path, then run again")
    study = load_study(path)
    if study.recipe != recipe.name:
        raise UserError(
            f"{path}: recipe = {study.recipe!r}, and RECIPE is {recipe.name!r}",
            rule="a study is of one recipe",
            mend="give the same in both places",
        )
    return study


def _asked_for(of: Recipe, vary: list[str], **given: Any) -> Study:
    """The study of the options. Raises RecipeError on a broken rule."""
    space = dict(_setting(each) for each in vary) or usual_space(of)
    try:
        return Study.model_validate({**given, "space": space})
    except ValidationError as error:
        raise explain(Path("forge search"), error) from error


def _setting(text: str) -> tuple[str, Any]:
    """STAGE.SETTING and its values, as `--vary` has them. Raises UserError or RecipeError."""
    key, equals, said = text.partition("=")
    parts = said.split(":")
    try:
        if equals and "," in said:
            return key, Values(choices=tuple(_plain(part) for part in said.split(",")))
        if equals and len(parts) in (2, 3) and parts[2:] in ([], ["log"]):
            return key, Values(low=float(parts[0]), high=float(parts[1]), log=len(parts) == 3)
    except ValidationError as error:
        raise explain(Path(f"--vary {text}"), error) from error
    except ValueError as error:
        raise UserError(f"--vary {text}: {error}", rule="LOW and HIGH are numbers", mend="correct it") from error
    raise UserError(
        f"--vary {text!r}",
        rule="STAGE.SETTING=LOW:HIGH, STAGE.SETTING=LOW:HIGH:log or STAGE.SETTING=A,B,C",
        mend="write it so, e.g. base.muon_lr=0.005:0.08:log",
    )


def _plain(text: str) -> Any:
    """A choice: a number or true or false if it reads as one, else a word."""
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _tokens(recipe: Recipe) -> int:
    first, _ = first_of(recipe)
    batch = first.settings["batch_tokens"]
    return max(first.settings["tokens"] // SHARE // batch, 1) * batch


def _width(recipe: Recipe) -> int:
    _, model = first_of(recipe)
    return next(width for width in widths(model) if 2 * width >= model.hidden_size)


def _declare(study: Study, folder: Path) -> None:
    """Write the study into the home, and make this process and the steps it starts read it there."""
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False)
    (folder / f"{study.name}.yaml").write_text(text, encoding="utf-8")
    os.environ["FORGE_STUDIES"] = str(folder)


def _make(key: str, declared: Declared, *, quiet: bool) -> str:
    """Bring a study up to date and return its digest. Leaves the command if it cannot be made."""
    hops = all_hops(declared)
    report = bring_up_to_date(declared, hops, with_ancestors(hops, select(hops, [key])), force=False, quiet=quiet)
    for error in report["errors"]:
        err.print("error: ", style="bold red", end="")
        err.print(f"{error['key']}: {error['message']}", markup=False)
    leave_unless_complete(report)
    return next(row["digest"] for row in report["artifacts"] if row["artifact"] == key)
