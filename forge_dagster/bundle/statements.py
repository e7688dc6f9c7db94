"""In-toto statements of a release: how each artifact was made (SLSA provenance v1), and the seal over a bundle."""

from typing import Any

from forge_dagster.bundle.lineage import Link
from forge_dagster.signing.dsse import statement

PROVENANCE = "https://slsa.dev/provenance/v1"
BUILD = "https://forge-dagster/build/v1"
SEAL = "https://forge-dagster/seal/v1"
APPROVAL = "https://forge-dagster/approval/v1"
SERVICE = "https://forge-dagster/service/v1"


def provenance(link: Link) -> dict[str, Any]:
    """What an artifact was made of and by whom; its subjects are its files."""
    record, run = link.record, link.run or {}
    inputs = sorted(record.identity.inputs.items())
    return statement(
        {name: entry.sha256 for name, entry in record.files.items()},
        PROVENANCE,
        {
            "buildDefinition": {
                "buildType": BUILD,
                "externalParameters": {"key": record.key, "config": dict(record.identity.config)},
                "internalParameters": {
                    "code_version": record.identity.code_version,
                    "numerics": dict(record.identity.numerics or {}),
                },
                "resolvedDependencies": [
                    {
                        "name": name,
                        "uri": f"forge:{ref.key or 'external'}@{ref.digest}",
                        "digest": {"sha256": ref.digest},
                    }
                    for name, ref in inputs
                ],
            },
            "runDetails": {
                "builder": {"id": "https://forge-dagster/self-hosted"},
                "metadata": {"invocationId": run.get("run", "unknown"), "startedOn": run.get("begun", "unknown")},
                "byproducts": [
                    {
                        "name": "record",
                        "digest": {"sha256": record.fingerprint},
                        "content": f"{record.key}@{record.digest}",
                    }
                ],
            },
        },
    )


def seal(files: dict[str, str], predicate: dict[str, Any]) -> dict[str, Any]:
    """Over the manifest, the ledger and the signatures of a bundle, by SHA-256 (hex)."""
    return statement(files, SEAL, predicate)


def approval(key: str, digest: str, predicate: dict[str, Any]) -> dict[str, Any]:
    """That a person approves this version of a release."""
    return statement({key: digest}, APPROVAL, predicate)


def service(key: str, digest: str, predicate: dict[str, Any]) -> dict[str, Any]:
    """That this version of a release serves from now on."""
    return statement({key: digest}, SERVICE, predicate)
