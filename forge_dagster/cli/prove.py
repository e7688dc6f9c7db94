"""`forge prove`: shows that one document was trained on, or was not, without showing any other."""

from pathlib import Path
from typing import Annotated

import typer

from forge_dagster.bundle.facts import gather
from forge_dagster.cli.bundle import Release, release_of
from forge_dagster.cli.console import Json, out, print_json
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.provenance.files import sha256_file
from forge_dagster.provenance.store import DIGEST


def command(
    release: Release,
    document: Annotated[str, typer.Argument(help="Id of a document (64 digits), or a file: then its SHA-256.")],
    file: Annotated[Path | None, typer.Option("--out", help="Where the proof is written.")] = None,
    json: Json = False,
) -> None:
    """Prove that a document is, or is not, among those that a release was trained on.

    The proof is checked with the release's bundle: `python verify.py --proof FILE`.
    """
    given = sha256_file(Path(document)) if Path(document).is_file() else document
    if not DIGEST.fullmatch(given):
        raise UserError(f"{document!r} is no document", rule="64 hexadecimal digits, or a file", mend="see report.html")
    proof = gather(home(), *release_of(release)).tree.prove(given)
    if file is not None:
        file.write_bytes(canonical_json(proof) + b"\n")
    if json:
        print_json(proof)
    else:
        is_in = "was trained on" if proof["included"] else "was not trained on"
        out.print(f"{given} {is_in}; {proof['count']:,} documents were, their Merkle root is {proof['root']}")
