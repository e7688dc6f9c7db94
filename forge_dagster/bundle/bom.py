"""CycloneDX 1.6 ML-BOM of a release: the model with its scores, the data of each source, libraries that computed."""

import uuid
from typing import Any

from forge_dagster.bundle.facts import Facts


def ml_bom(facts: Facts) -> dict[str, Any]:
    """The bill of materials as JSON data; the same release gives the same."""
    model = f"model:{facts.key}"
    data = [_source(name, terms) for name, terms in sorted(facts.summary["sources"].items())]
    weights = [_weights(spec) for spec in (facts.recipe.get("weights"), *facts.recipe.get("teachers", ())) if spec]
    libraries = [library(name, version) for name, version in facts.libraries.items()]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.UUID(facts.digest[:32], version=4)}",
        "version": 1,
        "metadata": {
            "timestamp": facts.last_time,
            "tools": {"components": [{"type": "application", "name": "forge-dagster"}]},
            "component": {
                "type": "machine-learning-model",
                "bom-ref": model,
                "name": facts.recipe["name"],
                "version": facts.digest[:16],
                "description": facts.recipe["description"],
                "hashes": [{"alg": "SHA-256", "content": facts.manifest["files"]["model/model.safetensors"]}],
                "modelCard": {
                    "modelParameters": {
                        "task": "text-generation",
                        "architectureFamily": "transformer",
                        "modelArchitecture": (facts.recipe.get("model") or {}).get("architecture", "continued"),
                        "datasets": [{"ref": each["bom-ref"]} for each in data],
                    },
                    "quantitativeAnalysis": {
                        "performanceMetrics": [
                            {"type": metric, "value": f"{score['value']:.6g}"}
                            for metric, score in sorted(facts.last_scores.items())
                        ]
                    },
                    "considerations": {
                        "technicalLimitations": [
                            "states wrong facts with the same ease as right ones; see the model card"
                        ]
                    },
                },
            },
        },
        "components": [*data, *weights, *libraries],
        "dependencies": [
            {"ref": model, "dependsOn": sorted(each["bom-ref"] for each in (*data, *weights, *libraries))}
        ],
    }


def library(name: str, version: str) -> dict[str, Any]:
    """A Python distribution as a component."""
    url = f"pkg:pypi/{name}@{_plain(version)}"
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url}


def _source(name: str, terms: dict[str, Any]) -> dict[str, Any]:
    properties = {
        "documents": terms["documents"], "training documents": terms["train"],
        "legal basis": terms.get("legal_basis"), "jurisdiction": terms.get("jurisdiction"),
        "permitted use": ", ".join(terms.get("permitted_use", ())),
    }  # fmt: skip
    return {
        "type": "data",
        "bom-ref": f"data:{name}",
        "name": name,
        "licenses": [{"license": {"name": terms.get("licence", "unknown")}}],
        "data": [{"type": "dataset", "name": name, "classification": terms.get("sensitivity", "unknown")}],
        "properties": [{"name": f"forge:{key}", "value": str(value)} for key, value in properties.items()],
    }


def _weights(spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "machine-learning-model",
        "bom-ref": f"weights:{spec['name']}",
        "name": spec["name"],
        "description": f"open weights from {spec['origin']}",
        "licenses": [{"license": {"name": spec["licence"]}}],
    }


def _plain(version: str) -> str:
    """A version in a package URL: a local part's + is written %2B."""
    return version.replace("+", "%2B")
