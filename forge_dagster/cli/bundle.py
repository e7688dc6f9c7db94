"""`forge bundle`: one signed archive of a release that verifies offline, without this software."""

from pathlib import Path
from typing import Annotated

import typer

from forge_dagster.bundle.write import write_bundle
from forge_dagster.cli.console import Json, amount, out, print_json
from forge_dagster.cli.keys import ring
from forge_dagster.cli.show import resolve
from forge_dagster.errors import UserError
from forge_dagster.home import home

Release = Annotated[str, typer.Argument(help="RECIPE, or RECIPE/release@DIGEST (a prefix will do).")]
KeyName = Annotated[str, typer.Option("--key", help="Name of the key that signs (forge keys list).")]


def release_of(release: str) -> tuple[str, str]:
    """Key and digest of a release. Raises UserError."""
    name, at, prefix = release.partition("@")
    key = name if name.endswith("/release") else f"{name}/release"
    return resolve(f"{key}{at}{prefix}")


def command(
    release: Release,
    file: Annotated[Path, typer.Option("--out", help="The archive, e.g. release.tar.")],
    key: KeyName,
    matches: Annotated[
        bool,
        typer.Option(help="Fingerprints of the training text, so that `verify.py --trace TEXT` names its documents."),
    ] = True,
    json: Json = False,
) -> None:
    """Write weights, scorecard, records, ledger, proofs, report and verifier of a release into one signed archive.

    Whoever gets it runs `tar xf FILE && python verify.py`; it needs Python and `cryptography`, and no network.
    """
    if file.is_dir():
        raise UserError(f"{file} is a folder", rule="--out names a file", mend=f"--out {file / 'release.tar'}")
    name, digest = release_of(release)
    keys = ring()
    written = write_bundle(home(), name, digest, keys, keys.signer(key), file, with_matches=matches)
    if json:
        print_json({**vars(written), "path": str(written.path), "release": f"{name}@{digest}"})
        return
    out.print(f"{name}@{digest[:12]}: {written.files} files, {amount(written.bytes)}, in {file}", markup=False)
    out.print(f"key id {written.kid}\nledger head {written.head} (statement {written.sequence})")
    out.print("Give both to the auditor by another way than the archive.")
