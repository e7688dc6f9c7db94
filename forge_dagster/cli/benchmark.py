"""`forge benchmark`: look through the items of the domain benchmark and decide on them."""

from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from forge_dagster.cli.console import Json, err, out, print_json
from forge_dagster.errors import UserError
from forge_dagster.evaluation.domain_benchmark import read_items
from forge_dagster.evaluation.item import Item
from forge_dagster.evaluation.review import EDITED, Decision, Review, load_review, write_review
from forge_dagster.home import folder_of, home
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.source import explain

ASSET = "domain_benchmark"
LONGEST_QUERY = 160  # characters in a table; the end of a question leads to its answer

app = typer.Typer(
    rich_markup_mode=None,
    help="The items that models are judged by, and what people decided on them.",
    no_args_is_help=True,
)


@app.callback()
def group() -> None:
    """The items that models are judged by, and what people decided on them."""


@app.command()
def review(
    approve: Annotated[list[str] | None, typer.Option(help="Id of an item that is good.")] = None,
    strike: Annotated[list[str] | None, typer.Option(help="Id of an item that is to go; with --reason.")] = None,
    edit: Annotated[str | None, typer.Option(help="Id of an item to change; with --reason and what changes.")] = None,
    reason: Annotated[str, typer.Option(help="Why; kept with the item.")] = "",
    query: Annotated[str | None, typer.Option(help="With --edit: the new question.")] = None,
    choice: Annotated[list[str] | None, typer.Option(help="With --edit: every choice anew, one option each.")] = None,
    gold: Annotated[int | None, typer.Option(help="With --edit: place of the right choice, from 0.")] = None,
    undo: Annotated[list[str] | None, typer.Option(help="Id of an item whose decision is taken back.")] = None,
    list_: Annotated[bool, typer.Option("--list", help="Show the items that nobody decided on.")] = False,
    task: Annotated[str | None, typer.Option(help="With --list: of this task alone.")] = None,
    json: Json = False,
) -> None:
    """Approve, edit or strike items; decisions lie in evals/review.yaml, for git to keep.

    Examples: `forge benchmark review --list --task cloze`; `forge benchmark review --strike cloze/0a1b --reason
    "two answers fit"`; `forge benchmark review --edit cloze/0a1b --gold 2 --reason "was wrong"`. The next
    `forge run` makes the benchmark with them; a struck item stays recorded in it with its reason.
    """
    items, struck = _current()
    folder = folder_of("evals")
    decided = load_review(folder)
    made = {
        **{name: _decision("approve") for name in approve or ()},
        **{name: _decision("strike", reason=reason) for name in strike or ()},
    }
    changes = {name: value for name, value in zip(EDITED, (query, choice, gold), strict=True) if value is not None}
    if edit is not None:
        made[edit] = _decision("edit", reason=reason, **changes)
    elif changes:
        raise UserError(f"{', '.join(changes)} without --edit", rule="an edit names its item", mend="add --edit ID")
    _are_there([*made, *(undo or ())], {**items, **struck, **decided.items})
    for name, decision in made.items():
        if name in items:
            decision.on(items[name])  # an edit that breaks the item is refused now, not in the next run
    review = Review(items={name: each for name, each in {**decided.items, **made}.items() if name not in (undo or ())})
    if made or undo:
        path = write_review(folder, review)
        err.print(f"{len(review.items)} decisions in {path}; forge run makes the benchmark with them", markup=False)
    _show(items, struck, review, task, everything=list_, as_json=json)


def _decision(kind: str, **values: Any) -> Decision:
    from pydantic import ValidationError

    try:
        return Decision.model_validate({"decision": kind, **values})
    except ValidationError as error:
        raise explain(Path(f"--{kind}"), error) from error


def _are_there(names: list[str], known: dict[str, Any]) -> None:
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UserError(
            f"no item {', '.join(unknown)}",
            rule="an id of the current benchmark",
            mend="forge benchmark review --list shows ids",
        )


def _current() -> tuple[dict[str, Item], dict[str, Item]]:
    """Items and struck items of the current benchmark by id. Raises UserError if there is none."""
    store = ArtifactStore(home().artifacts)
    digest = store.current(ASSET)
    if digest is None:
        raise UserError("there is no benchmark yet", mend=f"make it first: forge run --select {ASSET}")
    content = store.content(ASSET, digest)
    from json import loads

    items = {item["id"]: {**item, "task": task["name"]} for task, of_task in read_items(content) for item in of_task}
    lines = (content / "struck.jsonl").read_bytes().splitlines()
    return items, {item["id"]: item for item in map(loads, lines)}


def _show(
    items: dict[str, Item],
    struck: dict[str, Item],
    review: Review,
    task: str | None,
    *,
    everything: bool,
    as_json: bool,
) -> None:
    tasks = dict.fromkeys(item["task"] for item in (*items.values(), *struck.values()))
    if task is not None and task not in tasks:
        raise UserError(f"--task {task}", rule=f"one of {', '.join(tasks)}", mend="choose one of these")
    said = Counter((item["task"], _said(name, review)) for name, item in {**items, **struck}.items())
    counts = {name: {what: said[name, what] for what in ("undecided", "approve", "edit", "strike")} for name in tasks}
    left = [
        item
        for name, item in items.items()
        if everything and _said(name, review) == "undecided" and task in (None, item["task"])
    ]
    if as_json:
        print_json({"tasks": counts, "decisions": review.model_dump(exclude_none=True)["items"], "items": left})
        return
    table = Table("task", "undecided", "approved", "edited", "struck", box=None, pad_edge=False)
    for name, of_task in counts.items():
        table.add_row(name, *map(str, of_task.values()))
    out.print(table)
    for item in left:
        out.print(f"\n{item['id']}  difficulty {item['difficulty']}", style="bold", markup=False)
        out.print(escape(("..." if len(item["query"]) > LONGEST_QUERY else "") + item["query"][-LONGEST_QUERY:]))
        for place, choice in enumerate(item["choices"]):
            out.print(f"  {'>' if place == item['gold'] else ' '} {place} {choice}", markup=False)
    if not left and not everything:
        out.print("Next: forge benchmark review --list")


def _said(name: str, review: Review) -> str:
    return review.items[name].decision if name in review.items else "undecided"
