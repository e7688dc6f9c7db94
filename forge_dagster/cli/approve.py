"""`forge approve`: a second person signs that a release may serve."""

from typing import Annotated

import typer

from forge_dagster.bundle.serving import approve
from forge_dagster.cli.bundle import KeyName, Release, release_of
from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.cli.keys import ring
from forge_dagster.home import home


def command(
    release: Release,
    key: KeyName,
    note: Annotated[str, typer.Option(help="What was looked at, and why it may serve.")],
    json: Json = False,
) -> None:
    """Sign that a release may serve; the ledger keeps the signature. Whoever promotes it must be another person."""
    name, digest = release_of(release)
    entry = approve(home(), name, digest, ring().signer(key), note)
    if json:
        print_json(entry)
    else:
        out.print(f"{name}@{digest[:12]} is approved by {entry['statement']['owner']}", markup=False)
