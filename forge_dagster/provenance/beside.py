"""What is kept beside an artifact's content, outside its digest: how it was made, and what its checks found."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forge_dagster.errors import IntegrityError
from forge_dagster.provenance.actor import kind_of
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.provenance.surroundings import machine, surroundings
from forge_dagster.stage import Finding

FINDINGS = "findings.json"


def write_beside(beside: Path, run_id: str, actor: str, spent: Mapping[str, Any], findings: list[Finding]) -> None:
    """Write run.json (run, actor, what was `spent`, machine, surroundings) and findings.json."""
    execution = {
        "run": run_id,
        "actor": actor,
        "actor_kind": kind_of(actor),
        **spent,
        "machine": machine(),
        **surroundings(),
    }
    (beside / "run.json").write_text(json.dumps(execution, indent=1))
    (beside / FINDINGS).write_text(json.dumps([finding.model_dump(mode="json") for finding in findings]))


def load_findings(store: ArtifactStore, key: str, digest: str) -> list[Finding]:
    """Findings of the checks that judged a version when it was made. Raises IntegrityError if they are lost."""
    data = store.beside(key, digest, FINDINGS)
    if data is None:
        raise IntegrityError(
            f"{FINDINGS} of {key}@{digest[:12]} is missing",
            rule="what the checks found lies beside the content",
            mend=f"forge pull {key}@{digest[:12]}, or make it again: forge run --force --select {key}",
        )
    return [Finding.model_validate(item) for item in json.loads(data)]
