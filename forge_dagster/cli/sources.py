"""`--sources`: a folder of source files, or a folder of documents that gets a source file of its own."""

import os
import re
from pathlib import Path
from typing import Annotated

import typer
import yaml

from forge_dagster.cli.console import out
from forge_dagster.corpus import standing
from forge_dagster.declared import load_declared
from forge_dagster.errors import SourceError, UserError
from forge_dagster.home import home
from forge_dagster.provenance.actor import actor
from forge_dagster.source import read_yaml

Sources = Annotated[
    Path | None, typer.Option(help="A folder of documents as it is, or a folder of source files (*.yaml).")
]
Licence = Annotated[str, typer.Option(help="Licence of a folder given with --sources: SPDX, or `internal`.")]

app = typer.Typer(
    rich_markup_mode=None, help="Sources that are held, for they lost most of their entries.", no_args_is_help=True
)


@app.callback()
def sources() -> None:
    """Keep `accept` a command of a group."""


@app.command()
def accept(name: Annotated[str, typer.Argument(help="NAME of the source.")]) -> None:
    """Take what a held source lists now for its content: what is no longer there leaves the corpus with the next run.

    It is stated in the ledger with who accepted it, and holds for this content alone.
    """
    known = load_declared().sources
    if name not in known:
        raise UserError(f"{name!r}", rule=f"a source is one of {', '.join(known)}", mend="see the folder of sources")
    found = standing.accept(home(), known[name], by=actor())
    if not found:
        out.print(f"{name} is not held; there is nothing to accept")
    for partition in found:
        out.print(f"{partition} is accepted as it is now", markup=False)


def use_folder(folder: Path, licence: str) -> None:
    """Make this process, and the steps it starts, read its sources from `folder`. Raises SourceError."""
    if not folder.is_dir():
        raise SourceError(
            f"--sources {folder}: no such folder", rule="an existing folder", mend="check the path, then run again"
        )
    if not any(folder.glob("*.yaml")):
        folder = _describe(folder.resolve(), licence)
    os.environ["FORGE_SOURCES"] = str(folder.resolve())


def _describe(folder: Path, licence: str) -> Path:
    """Write the source file of a bare folder into the home; its owner can edit it there."""
    name = re.sub(r"[^a-z0-9_-]+", "-", folder.name.lower()).strip("-_") or "documents"
    described = home().root / "sources" / name
    path = described / f"{name}.yaml"
    source = {
        "name": name,
        "kind": "folder",
        "location": str(folder),
        "owner": "unknown",
        "licence": licence,
        "sensitivity": "internal",
    }
    if path.exists():
        source = read_yaml(path) | ({} if licence == "unknown" else {"licence": licence})
    described.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(source, sort_keys=False), encoding="utf-8")
    return described
