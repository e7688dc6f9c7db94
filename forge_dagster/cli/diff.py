"""`forge diff`: what changed from one release to another."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.sources_of import release_of
from forge_dagster.cli.where_used import opened
from forge_dagster.lineage.difference import difference

MOST_NAMED = 10  # documents of a kind; --json names all
LONGEST = 60  # characters of a value


def command(
    before: Annotated[str, typer.Argument(help="RECIPE, or RECIPE/release@DIGEST.")],
    after: Annotated[str, typer.Argument(help="RECIPE, or RECIPE/release@DIGEST.")],
    json: Json = False,
) -> None:
    """Show what differs between two releases: documents, code, recipe, environment, scores.

    Scores are compared item by item, as `forge scorecard --compare` does; positive is better in the second.

    Example: `forge diff tiny-dense/release@1a2b3c tiny-dense`.
    """
    nodes = release_of(before), release_of(after)
    graph, _ = opened()
    found = difference(graph, *nodes)
    if json:
        said = {"before": str(nodes[0]), "after": str(nodes[1])}
        digests = {"before_digest": nodes[0].digest, "after_digest": nodes[1].digest}
        print_json({**said, **digests, **found.model_dump(mode="json")})
        return
    out.print(f"from {nodes[0]} to {nodes[1]}", markup=False)
    documents = found.documents
    out.print(
        f"documents: {len(documents.added):,} added, {len(documents.removed):,} removed, "
        f"{len(documents.changed):,} changed, {documents.same:,} the same"
    )
    for sign, names in (("+", documents.added), ("-", documents.removed), ("~", documents.changed)):
        for name in names[:MOST_NAMED]:
            out.print(f"  {sign} {name}", markup=False)
        if len(names) > MOST_NAMED:
            out.print(f"  {sign} and {len(names) - MOST_NAMED:,} more (--json)", markup=False)
    for title, pairs in (("code", found.code), ("recipe", found.recipe), ("environment", found.environment)):
        out.print(f"{title}: {len(pairs)} differences")
        table = Table(box=None, pad_edge=False, show_header=False)
        for key, (old, new) in pairs.items():
            short = [str(value)[: 12 if title == "code" else LONGEST] for value in (old, new)]
            table.add_row(f"  {escape(key)}", escape(short[0]), "->", escape(short[1]))
        if pairs:
            out.print(table)
    table = Table("metric", "before", "after", "difference", "p (Holm)", "", box=None, pad_edge=False)
    for row in found.scores:
        shift = "-" if row.paired is None else f"{row.paired.difference:+.3f}"
        table.add_row(row.metric, f"{row.other:.3f}", f"{row.value:.3f}", shift,
                      "-" if row.adjusted is None else f"{row.adjusted:.4f}", row.seen)  # fmt: skip
    out.print(table)
