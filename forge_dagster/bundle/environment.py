"""CycloneDX 1.6 SBOM of the Python environment that a bundle is written in, and whether its steps ran in the same."""

import uuid
from importlib.metadata import distributions
from typing import Any

from forge_dagster.bundle.bom import library
from forge_dagster.bundle.facts import Facts
from forge_dagster.provenance.surroundings import surroundings


def environment_bom(facts: Facts) -> dict[str, Any]:
    """Every installed distribution. A step's record has the digest of names and versions; equal ones ran in this."""
    here = str(surroundings()["environment"])
    runs = [link.run["environment"] for link in facts.links if link.run and "environment" in link.run]
    found = {each.metadata["Name"]: each.version for each in distributions()}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(here[:32], version=4)}",
        "version": 1,
        "metadata": {
            "timestamp": facts.last_time,
            "component": {"type": "application", "bom-ref": "environment", "name": "forge-dagster environment"},
            "properties": [
                {"name": "forge:environment", "value": here},
                {"name": "forge:steps made in it", "value": f"{runs.count(here)} of {len(facts.links)}"},
            ],
        },
        "components": [library(name, version) for name, version in sorted(found.items())],
    }
