"""`forge sample`: write the documents of a fictional organisation."""

from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from forge_dagster.cli.console import Json, err, out, print_json


def command(
    out_: Annotated[Path, typer.Option("--out", help="A new or empty folder.")],
    documents: Annotated[int, typer.Option(help="How many documents, 20 to 1,000,000.")] = 300,
    seed: Annotated[int, typer.Option(help="The same seed gives the same bytes.")] = 1,
    dirt: Annotated[float, typer.Option(help="Share of planted dirt, 0 to 0.6; labels.jsonl says what it is.")] = 0.0,
    json: Json = False,
) -> None:
    """Write a fictional organisation: documents in several formats, and facts.jsonl with what they state.

    With --dirt some documents are what folders hold besides: personal data, secrets, duplicates, old versions, junk.

    Learn from it with `forge run --sources OUT`.
    """
    from forge_dagster.sample.generate import generate

    with Progress(console=err, disable=json or not err.is_terminal) as bars:
        task = bars.add_task("documents", total=documents)
        report = generate(
            documents, seed, out_, lambda done, total: bars.update(task, completed=done, total=total), dirt=dirt
        )
    if json:
        print_json(report.model_dump(mode="json"))
        return
    for name, value in report.model_dump(mode="json").items():
        out.print(f"{name}: {value}", markup=False)
    out.print(f"Next: forge run --sources {out_}")
