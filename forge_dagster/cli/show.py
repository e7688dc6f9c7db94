"""`forge show`: one artifact's record, files and findings."""

from typing import Annotated

import typer
from rich.table import Table

from forge_dagster.cli.console import Json, amount, out, print_json
from forge_dagster.errors import UserError
from forge_dagster.home import home
from forge_dagster.provenance.build import load_findings
from forge_dagster.provenance.store import ArtifactStore

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


def command(artifact: Artifact, json: Json = False) -> None:
    """Show an artifact: digest, what it was made from, counts, metrics, checks and files."""
    key, digest = resolve(artifact)
    store = ArtifactStore(home().artifacts)
    record, version = store.record(key, digest), store.version(key, digest)
    findings = load_findings(version)
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
