"""How an artifact shows in the Dagster UI: its digest, counts, metrics and plots as metadata."""

import base64
import json
from pathlib import Path
from typing import Any

import dagster as dg

from forge_dagster.provenance.build import Built
from forge_dagster.provenance.record import Record
from forge_dagster.stage import Finding
from resources.columns import columns_of

PLOT_LIMIT = 200_000  # bytes; metadata is stored in the event log, row by row


def _plots(folder: Path) -> dict[str, dg.MarkdownMetadataValue]:
    return {
        path.stem: dg.MetadataValue.md(
            f"![{path.stem}](data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()})"
        )
        for path in sorted((folder / "beside").glob("*.png"))
        if path.stat().st_size <= PLOT_LIMIT
    }


def _scores(folder: Path) -> dict[str, dg.TableMetadataValue]:
    path = folder / "content" / "scorecard.json"
    if not path.exists():
        return {}
    body = json.loads(path.read_bytes())
    checkpoints: dict[str, dict[str, Any]] = body["checkpoints"]
    last = list(checkpoints.values())[-1]
    rows = [
        dg.TableRecord(
            {
                "metric": metric,
                **{c: round(scores[metric]["value"], 4) for c, scores in checkpoints.items() if metric in scores},
                "standard error": _figure(score["stderr"]),
                "noise": _figure(score["noise"]),
                "items": score["n"],
            }
        )
        for metric, score in sorted(last.items())
    ]
    figures = [dg.TableColumn(name, "float") for name in checkpoints]
    spread = [dg.TableColumn("standard error"), dg.TableColumn("noise"), dg.TableColumn("items", "int")]
    columns = [dg.TableColumn("metric"), *figures, *spread]
    gates = [dg.TableRecord({"outcome": gate.get("outcome", ""), "gate": gate["reason"]}) for gate in body["gates"]]
    return {
        "scores": dg.MetadataValue.table(rows, dg.TableSchema(columns)),
        "gates": dg.MetadataValue.table(gates, dg.TableSchema([dg.TableColumn("outcome"), dg.TableColumn("gate")])),
    }


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def metadata_of(record: Record, folder: Path) -> dict[str, Any]:
    """Metadata of one version: everything a person looks for first."""
    return {
        "digest": record.digest,
        "fingerprint": record.fingerprint,
        "files": len(record.files),
        "bytes": record.bytes,
        "path": dg.MetadataValue.path(str(folder)),
        **{f"rows/{name}": value for name, value in record.report.counts.items()},
        **{f"metric/{name}": float(value) for name, value in record.report.metrics.items()},
        **({"dagster/row_count": record.report.counts["rows"]} if "rows" in record.report.counts else {}),
        **columns_of(record.key),
        **_scores(folder),
        **_plots(folder),
    }


def check_results(findings: list[Finding]) -> list[dg.AssetCheckResult]:
    """Findings as asset check results."""
    return [
        dg.AssetCheckResult(
            check_name=finding.name,
            passed=finding.passed,
            severity=dg.AssetCheckSeverity.ERROR if finding.blocking else dg.AssetCheckSeverity.WARN,
            metadata={name: dg.MetadataValue.text(str(value)) for name, value in finding.observed.items()},
        )
        for finding in findings
    ]


def materialize_result(built: Built) -> dg.MaterializeResult[Any]:
    """What Dagster keeps of a build; the data version is the content digest."""
    return dg.MaterializeResult(
        data_version=dg.DataVersion(built.record.digest),
        metadata={
            **metadata_of(built.record, built.folder),
            "reused": built.reused,
            "is_current": built.is_current,
            "seconds": round(built.seconds, 2),
        },
        check_results=check_results(built.findings),
    )
