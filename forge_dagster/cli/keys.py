"""`forge keys`: make, list and revoke the keys that sign releases."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.home import home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.signing.keys import Key, KeyRing

app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Keys that sign bundles and approvals.")


def ring() -> KeyRing:
    """The keys of this home."""
    return KeyRing(home().root / "keys", Ledger(home().ledger))


@app.command()
def new(
    name: Annotated[str, typer.Option(help="Name of the key, e.g. releases-2026.")],
    owner: Annotated[str, typer.Option(help="The person who answers for what it signs.")],
    days: Annotated[int, typer.Option(min=1, help="How long its signatures count.")] = 730,
    json: Json = False,
) -> None:
    """Make an EC P-256 key in FORGE_HOME/keys: NAME.pem (0600), and its public half in registry.json."""
    key = ring().new(name, owner, days)
    if json:
        print_json(key.model_dump(mode="json"))
    else:
        out.print(f"{key.name} of {key.owner}, valid to {key.valid_to.date()}", markup=False)
        out.print(f"key id {key.kid}\nTell it to auditors by another way than the bundle: it is what they trust.")


@app.command(name="list")
def list_(json: Json = False) -> None:
    """Every key, with its validity."""
    keys = ring().registry().keys
    if json:
        print_json([key.model_dump(mode="json") for key in keys])
        return
    table = Table()
    for head in ("name", "owner", "key id", "valid", "state"):
        table.add_column(head, overflow="fold")  # a key id is compared whole
    for key in keys:
        table.add_row(key.name, key.owner, key.kid, f"{key.valid_from.date()} to {key.valid_to.date()}", _state(key))
    out.print(table)


@app.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name of the key.")],
    reason: Annotated[str, typer.Option(help="Why its signatures no longer count.")],
    since: Annotated[
        datetime | None, typer.Option(help="From when on (UTC), if it was lost earlier; default: now.")
    ] = None,
    json: Json = False,
) -> None:
    """Revoke a key: what it signs from then on counts no more; bundles made earlier stand."""
    key = ring().revoke(name, reason, since.replace(tzinfo=UTC) if since else None)
    if json:
        print_json(key.model_dump(mode="json"))
    else:
        out.print(f"{key.name} is revoked from {key.revoked_at} on: {key.reason}", markup=False)


def _state(key: Key) -> str:
    if key.revoked_at is not None:
        return f"revoked {key.revoked_at.date()}: {key.reason}"
    return "valid" if key.holds_at(datetime.now(UTC)) else "not valid now"
