"""`forge corpus`: SQL over the documents of every stage."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.corpus.views import open_views, select
from forge_dagster.home import home
from forge_dagster.provenance.store import ArtifactStore

LONGEST_CELL = 200  # characters in a table; --json gives everything

app = typer.Typer(
    rich_markup_mode=None,
    help="SQL over what came in, what became of it, and what is trained on.",
    no_args_is_help=True,
)


def contents() -> dict[str, Path]:
    """Content folder of each artifact's current version, by key."""
    store = ArtifactStore(home().artifacts)
    current = {key: store.current(key) for key in store.all_keys()}
    return {key: store.content(key, digest) for key, digest in current.items() if digest}


@app.command()
def query(sql: Annotated[str, typer.Argument(help="One SELECT over the views.")], json: Json = False) -> None:
    """Answer a SELECT with DuckDB, over the current version of every artifact.

    Examples: `forge corpus query "SELECT reason, count(*) FROM clean_dispositions GROUP BY ALL ORDER BY 2 DESC"`;
    `forge corpus query "SELECT language, sum(length(text)) FROM clean_documents GROUP BY 1"`.
    """
    with open_views(contents()) as connection:
        columns, rows = select(connection, sql)
    if json:
        print_json({"columns": columns, "rows": [[_plain(value) for value in row] for row in rows]})
        return
    table = Table(*columns, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(escape(f"{value}"[:LONGEST_CELL]) for value in row))
    out.print(table)


@app.command()
def views(json: Json = False) -> None:
    """List the views with their rows and columns."""
    with open_views(contents()) as connection:
        _, found = select(connection, "SELECT view_name FROM duckdb_views() WHERE NOT internal ORDER BY view_name")
        listing: dict[str, dict[str, Any]] = {}
        for (name,) in found:
            _, ((rows,),) = select(connection, f'SELECT count(*) FROM "{name}"')
            columns, _ = select(connection, f'SELECT * FROM "{name}" LIMIT 0')
            listing[str(name)] = {"rows": rows, "columns": columns}
    if json:
        print_json(listing)
        return
    table = Table("view", "rows", "columns", box=None, pad_edge=False)
    for name, view in listing.items():
        table.add_row(name, f"{view['rows']:,}", ", ".join(view["columns"]))
    out.print(table)


def _plain(value: object) -> object:
    """What JSON can hold; anything else as people read it."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    return value if value is None or isinstance(value, str | int | float | bool) else str(value)
