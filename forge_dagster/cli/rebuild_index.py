"""`forge rebuild-index`: Dagster's history of artifacts again, from the store and its ledger."""

from assets.graph import all_hops
from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.ui import be_the_only_one
from forge_dagster.declared import load_declared
from forge_dagster.home import home


def command(json: Json = False) -> None:
    """Tell Dagster of every version in the store that it does not know, in the order in which they were made.

    For a database that was deleted or moved away. The store and the ledger are only read. Stop `forge ui` first.
    """
    from forge_dagster.cli.launcher import rebuild_index

    be_the_only_one()
    counts = rebuild_index(home(), all_hops(load_declared()))
    if json:
        print_json(counts)
        return
    out.print(
        f"{counts['told']} versions told to Dagster, {counts['known']} it knew, {counts['gone']} not in the store"
    )
