"""What is kept beside an artifact's content, outside its digest: how it was made, and what its checks found."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forge_dagster.provenance.actor import kind_of
from forge_dagster.provenance.surroundings import machine, surroundings
from forge_dagster.stage import Finding


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
    (beside / "findings.json").write_text(json.dumps([finding.model_dump(mode="json") for finding in findings]))


def load_findings(version: Path) -> list[Finding]:
    """Findings of the checks that judged a version when it was made."""
    return [Finding.model_validate(item) for item in json.loads((version / "beside" / "findings.json").read_bytes())]
