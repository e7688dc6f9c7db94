"""`forge status`: what stands, what is stale, what is held, and why."""

from typing import Any

from rich.table import Table

from assets.graph import all_hops
from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.plan import Planned, plan
from forge_dagster.cli.retrain import in_words, last_decision
from forge_dagster.corpus.standing import held, raw_key
from forge_dagster.declared import Declared, load_declared
from forge_dagster.home import Home, home

MEANING = {
    "current": "up to date",
    "reusable": "stands, not current",
    "stale": "out of date",
    "missing": "never made",
    "held": "held",
}


def planned_now(home: Home, declared: Declared) -> list[Planned]:
    """Every artifact and its state; what is held for a person is taken as it stands."""
    hops = all_hops(declared)
    waiting = {raw_key(name): why for each in declared.sources.values() for name, why in held(home, each).items()}
    return plan(home, declared, hops, hops, verify=False, held=waiting)


def artifacts(home: Home, declared: Declared) -> list[dict[str, Any]]:
    """The same as plain data."""
    return [_row(item) for item in planned_now(home, declared)]


def _row(item: Planned) -> dict[str, Any]:
    return {"artifact": item.hop.key, "state": item.state, "digest": item.digest, "why": item.why}


def command(json: Json = False) -> None:
    """Show every artifact: up to date, out of date and why, held or never made; and each decision to train again."""
    declared = load_declared()
    planned = planned_now(home(), declared)
    decided = {name: last for name in declared.recipes if (last := last_decision(name))}
    if json:
        rows = [_row(item) for item in planned]
        decisions = {
            name: {"digest": digest, **each.model_dump(mode="json")} for name, (digest, each) in decided.items()
        }
        print_json({"home": str(home().root), "artifacts": rows, "decisions": decisions})
        return
    table = Table("artifact", "state", "digest", "why", box=None, pad_edge=False)
    for item in planned:
        table.add_row(item.hop.key, MEANING[item.state], (item.digest or "-")[:12], item.why)
    out.print(table)
    for name, (digest, found) in decided.items():
        out.print(f"{name}: {in_words(digest, found)}", markup=False)
    for name in sorted({item.hop.key.split("/")[1] for item in planned if item.state == "held"}):
        out.print(f"{name} is held for a person: bring its documents back, or forge sources accept NAME", markup=False)
    left = sum(item.state != "current" for item in planned)
    out.print(f"{left} of {len(planned)} artifacts need work: forge run" if left else "Everything is up to date.")
