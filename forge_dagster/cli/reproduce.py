"""`forge reproduce`: does a training again and compares what comes out."""

import re
from typing import Annotated

import typer

from forge_dagster.cli.console import Json, err, out, print_json
from forge_dagster.cli.show import resolve
from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.home import home
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.reproduction import Reproduction, as_recorded, reproduce


def command(
    checkpoint: Annotated[
        str, typer.Argument(help="KEY or KEY@DIGEST of a checkpoint, e.g. tiny-dense/base_checkpoint.")
    ],
    steps: Annotated[
        str | None,
        typer.Option(help="A segment A:B of a pre-training, between retained checkpoints (0: its beginning)."),
    ] = None,
    json: Json = False,
) -> None:
    """Do the training of a checkpoint again, from the inputs and with the threads that its record names, and compare.

    On a CPU every file is the same, bit for bit; on a GPU weights may differ by 2 % of the largest of their tensor
    (never tried on one). Nothing in the store changes. Exit code 3: a file differs.

    Examples: `forge reproduce tiny-dense/sft_checkpoint`; `forge reproduce tiny-dense/base_checkpoint --steps 200:400`.
    """
    from resources.compute import numerics

    key, digest = resolve(checkpoint)
    recorded = ArtifactStore(home().artifacts).record(key, digest).identity.numerics or {}
    if not json:
        err.print(f"doing {key}@{digest[:12]} again", markup=False)
    with as_recorded(recorded):
        found = reproduce(home(), key, digest, _segment(steps), numerics(parallel="world_size" in recorded))
    if json:
        print_json(found.model_dump(mode="json"))
    elif found.differs is None:
        out.print(f"{found.files} files, all as recorded{_within(found)}")
    if found.differs is not None:
        raise IntegrityError(
            f"{found.differs} of {key}@{digest[:12]} comes out otherwise than it is recorded{_within(found)}",
            rule="same inputs, code and numerics give the same bytes; otherwise than recorded are "
            + (
                ", ".join(f"{name} ({was} -> {now})" for name, (was, now) in found.environment.items())
                or "none of them"
            ),
            mend="do it again in the recorded environment; if that is the same, the record or the checkpoint was "
            "changed: forge verify",
        )


def _within(found: Reproduction) -> str:
    return f" (within {found.tolerance:.0%})" if found.tolerance else ", bit for bit"


def _segment(steps: str | None) -> tuple[int, int] | None:
    if steps is None:
        return None
    match = re.fullmatch(r"(\d+):(\d+)", steps)
    if match is None:
        raise UserError(f"--steps {steps}", rule="two numbers of steps, A:B")
    return int(match[1]), int(match[2])
