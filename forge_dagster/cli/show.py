"""`forge show`: one artifact's record, files and findings."""

from typing import Annotated

import typer
from rich.table import Table

from forge_dagster.chain import stage_module, stage_names
from forge_dagster.cli.console import Json, amount, out, print_json
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.provenance.beside import load_findings
from forge_dagster.provenance.record import Record
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.stage import START_SHARDS
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.order import documents_of_step
from forge_dagster.training.settings import Settings

Artifact = Annotated[str, typer.Argument(help="KEY or KEY@DIGEST (a prefix will do), e.g. tiny-dense/release.")]


def resolve(artifact: str) -> tuple[str, str]:
    """Key and full digest of KEY or KEY@DIGEST-PREFIX. Raises UserError."""
    key, _, prefix = artifact.partition("@")
    store = ArtifactStore(home().artifacts)
    versions = store.versions(key)
    if not prefix:
        current = store.current(key)
        if current is None:
            raise UserError(f"{key} has no current version", rule="a key of the store", mend="see `forge status`")
        return key, current
    matches = [digest for digest in versions if digest.startswith(prefix)]
    if len(matches) != 1:
        known = ", ".join(digest[:12] for digest in versions) or "none"
        raise UserError(f"{artifact}: {len(matches)} versions match", rule=f"one of: {known}", mend="give more digits")
    return key, matches[0]


Step = Annotated[
    int | None, typer.Option(help="Of a pre-trained checkpoint: the documents that this training step (from 0) read.")
]


def command(artifact: Artifact, step: Step = None, json: Json = False) -> None:
    """Show an artifact: digest, what it was made from, counts, metrics, checks and files.

    `forge show tiny-dense/base_checkpoint --step 7` names the documents that step 7 of its training read.
    """
    key, digest = resolve(artifact)
    store = ArtifactStore(home().artifacts)
    record, version = store.record(key, digest), store.here(key, digest)
    if step is not None:
        _show_step(store, record, step, json)
        return
    findings = load_findings(store, key, digest)
    if json:
        body = record.model_dump(mode="json")
        print_json({**body, "path": str(version), "findings": [f.model_dump(mode="json") for f in findings]})
        return
    out.print(f"{key}@{digest}\nin {version}\nfingerprint {record.fingerprint}")
    inputs = Table("made from", "artifact", "digest", box=None, pad_edge=False)
    for name, ref in record.identity.inputs.items():
        inputs.add_row(name, ref.key or "outside the store", ref.digest[:12])
    out.print(inputs)
    for name, value in {**record.report.counts, **record.report.metrics}.items():
        out.print(f"  {name}: {value:,}" if isinstance(value, int) else f"  {name}: {value:.4f}")
    for finding in findings:
        out.print(
            f"  check {finding.name}: {'pass' if finding.passed else 'FAIL'} {dict(finding.observed)}", markup=False
        )
    files = Table("file", "size", "sha256", box=None, pad_edge=False)
    for name, entry in record.files.items():
        files.add_row(name, amount(entry.bytes), entry.sha256[:12])
    out.print(files)


def _show_step(store: ArtifactStore, record: Record, step: int, json: bool) -> None:
    """Print what one step read, computed from the record and the shards that it names."""
    stage, shards = (
        record.key.rpartition("/")[2].removesuffix("_checkpoint"),
        record.identity.inputs.get("token_shards"),
    )
    settings = stage_module(stage).Settings if stage in stage_names() else None
    if settings is None or not issubclass(settings, Settings) or shards is None or shards.key is None:
        raise UserError(
            f"--step {step} of {record.key}",
            rule="the reading order is that of a pre-training",
            mend="name a base or continued checkpoint",
        )
    job = TrainingJob[settings].model_validate(record.identity.config)  # type: ignore[valid-type]
    before = record.identity.inputs.get(START_SHARDS)
    former = store.content(before.key, before.digest) if before is not None and before.key is not None else None
    rows = documents_of_step(store.content(shards.key, shards.digest), job.settings, job.seed, step, former)
    if json:
        print_json({"artifact": record.key, "digest": record.digest, "step": step, "reads": rows})
        return
    table = Table("row", "source", "document", "first token", "tokens", box=None, pad_edge=False)
    for row in rows:
        table.add_row(str(row["row"]), row["source"], row["document"][:12], str(row["start"]), str(row["tokens"]))
    out.print(table)
