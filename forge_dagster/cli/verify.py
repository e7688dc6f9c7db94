"""`forge verify`: recompute every digest, down to the raw documents; compare the ledger with Dagster's history."""

import time
from typing import Annotated

import typer

from forge_dagster.cli.console import Json, amount, duration, err, out, print_json
from forge_dagster.cli.show import resolve
from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.home import home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.provenance.verify import everything, verify


def command(
    artifact: Annotated[
        str | None, typer.Argument(help="KEY or KEY@DIGEST; default: the current release of every recipe.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Every version in the store.")] = False,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete", help="Compare ledger and Dagster instead: a statement for each materialization, and back."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Re-hash an artifact and everything it was made from; name each file that differs. Exit code 3 if one does.

    With --complete nothing is hashed: every materialization that Dagster has must be stated in the ledger, and every
    statement have one. What was found is stated in the ledger too, so that a bundle has it.
    """
    if complete:
        if artifact or all_:
            raise UserError("--complete names no artifact", rule="it compares all there is", mend="leave the rest out")
        _complete(json)
        return
    started = time.monotonic()
    store = ArtifactStore(home().artifacts)
    if all_:
        targets = list(everything(home().artifacts))
    elif artifact:
        targets = [resolve(artifact)]
    else:
        targets = [(key, str(store.current(key))) for key in store.all_keys() if key.endswith("/release")]
    if not targets:
        raise UserError("nothing to verify: no release stands", rule="an artifact", mend="forge run, or name a KEY")
    with err.status("verifying") as status:
        if store.place.is_shared:
            Ledger(home().ledger).follow()
            status.update("bringing what is not here from the shared store")
            _bring(store, targets)
        found = verify(
            home().artifacts,
            home().ledger,
            targets,
            lambda done, label: status.update(f"verifying {label} ({done} artifacts done)"),
        )
    if json:
        print_json({**vars(found), "targets": [f"{key}@{digest}" for key, digest in targets]})
    else:
        out.print(
            f"{'verified' if not found.problems else 'checked'} {found.artifacts} artifacts, {found.files} files, "
            f"{amount(found.bytes)}, {found.documents} raw documents, {found.statements} ledger statements "
            f"in {duration(time.monotonic() - started)}"
        )
        for problem in found.problems:
            err.print(f"differs: {problem}", style="red", markup=False)
    if found.problems:
        raise typer.Exit(IntegrityError.exit_code)


def _bring(store: ArtifactStore, targets: list[tuple[str, str]]) -> None:
    """Let everything stand here that the targets were made from; bytes that differ in the shared store are named."""
    todo, seen = list(targets), set[tuple[str, str]]()
    while todo:
        key, digest = todo.pop()
        if (key, digest) in seen or not store.stands(key, digest):
            continue  # what stands nowhere is for the verifier to tell
        seen.add((key, digest))
        store.here(key, digest)
        refs = [ref for record in store.records(key, digest) for ref in record.identity.inputs.values()]
        todo += [(ref.key, ref.digest) for ref in refs if ref.key is not None]


def _complete(json: bool) -> None:
    from assets.graph import all_hops
    from forge_dagster.cli.launcher import completeness
    from forge_dagster.declared import load_declared

    found = completeness(home(), all_hops(load_declared()))
    if json:
        print_json({**found.model_dump(mode="json"), "problems": found.problems})
    else:
        out.print(f"{found.events} materializations in Dagster, {found.statements} versions in the ledger")
        for wipe in found.wiped:
            out.print(f"wiped: {wipe}", markup=False)
        for problem in found.problems:
            err.print(f"incomplete: {problem}", style="red", markup=False)
        if found.untold:
            err.print("forge rebuild-index tells Dagster of every version that stands", markup=False)
    if found.problems:
        raise typer.Exit(IntegrityError.exit_code)
