"""`forge trace`: the training documents that hold the longest runs of words of a text."""

from typing import Annotated

import typer

from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.sources_of import release_of
from forge_dagster.cli.where_used import opened
from forge_dagster.errors import UserError
from forge_dagster.lineage.trace import NOTE, as_plain, trace


def command(
    text: Annotated[str, typer.Argument(help="What a model wrote; at least five words.")],
    release: Annotated[
        str | None, typer.Option(help="RECIPE or RECIPE/release@DIGEST; not needed if there is one.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Documents that are shown.")] = 10,
    json: Json = False,
) -> None:
    """Show the documents of a release's training text that share the longest runs of words with a text.

    That they match does not say that they caused it.

    Example: `forge trace "The travel policy asks for a receipt above fifty euros" --release tiny-dense`.
    """
    graph, index = opened()
    current = [node for node in graph.releases if graph.store.current(node.key) == node.digest]
    if release is None and len(current) != 1:
        raise UserError(
            f"{len(current)} current releases: {', '.join(node.key for node in current) or 'none'}",
            rule="the training text of one release is looked through",
            mend="name one with --release",
        )
    node = release_of(release) if release else current[0]
    found = trace(graph, index, node, text, most)
    if json:
        print_json({"release": node.key, "digest": node.digest, "note": NOTE, "matches": as_plain(found)})
        return
    if not found:
        out.print(f"No training document of {node} shares five words in a row with this text.", markup=False)
        return
    for match in found:
        out.print(f"{match.source}/{match.path}  {match.document[:12]}", markup=False)
        for span in match.spans:
            out.print(f"    {span.words} words: {span.text!r}", markup=False)
    out.print(NOTE)
