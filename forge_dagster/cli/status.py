"""`forge status`: what stands, what is stale, and why."""

from rich.table import Table

from assets.graph import all_hops
from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.plan import plan
from forge_dagster.declared import load_declared
from forge_dagster.home import home

MEANING = {
    "current": "up to date",
    "reusable": "stands, not current",
    "stale": "out of date",
    "missing": "never made",
}


def command(json: Json = False) -> None:
    """Show every artifact: up to date, out of date and why, or never made."""
    declared = load_declared()
    hops = all_hops(declared)
    planned = plan(home(), declared, hops, hops, verify=False)
    if json:
        rows = [
            {"artifact": item.hop.key, "state": item.state, "digest": item.digest, "why": item.why} for item in planned
        ]
        print_json({"home": str(home().root), "artifacts": rows})
        return
    table = Table("artifact", "state", "digest", "why", box=None, pad_edge=False)
    for item in planned:
        table.add_row(item.hop.key, MEANING[item.state], (item.digest or "-")[:12], item.why)
    out.print(table)
    left = sum(item.state != "current" for item in planned)
    out.print(f"{left} of {len(planned)} artifacts need work: forge run" if left else "Everything is up to date.")
