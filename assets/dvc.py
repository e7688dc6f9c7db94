"""dvc.yaml, made from the hops: for people who know DVC, the same graph and the same commands."""

from collections.abc import Sequence
from typing import Any

import yaml

from assets.hop import Hop
from forge_dagster.source import source_of

HEADER = "# Made from the asset graph by `python -m assets.dvc`; a test keeps it current. Dagster owns execution.\n"


def stage_name(key: str) -> str:
    """DVC allows no slash in a stage name."""
    return key.replace("/", "--")


def pointer(key: str) -> str:
    """The small file that says which version of an artifact is current."""
    return f"data/artifacts/{key}/CURRENT"


def dvc_yaml(hops: Sequence[Hop]) -> str:
    """Text of dvc.yaml: one stage an artifact, over the CURRENT pointers."""
    stages: dict[str, Any] = {}
    for hop in hops:
        files = [f"sources/{source_of(hop.partition)}.yaml"] if hop.asset == "raw_documents" and hop.partition else []
        if hop.asset.startswith("generated/"):
            files.append(f"sources/pairs/{hop.asset.split('/')[1]}.yaml")
        elif "/" in hop.asset and hop.group not in ("tokens", "external"):
            files.append(f"recipes/{hop.asset.split('/')[0]}.yaml")
        deps = sorted({pointer(key) for key in hop.inputs.values()} | set(files))
        stages[stage_name(hop.key)] = {
            "cmd": f"forge run --select {hop.key}",
            **({"deps": deps} if deps else {}),
            # Without `persist` DVC deletes an output before its stage runs.
            "outs": [{pointer(hop.key): {"cache": False, "persist": True}}],
        }
    return HEADER + yaml.safe_dump({"stages": stages}, sort_keys=False, width=120)


def main() -> None:
    """Write dvc.yaml of the project."""
    from assets.graph import all_hops
    from forge_dagster.declared import load_declared
    from forge_dagster.home import PROJECT

    (PROJECT / "dvc.yaml").write_text(dvc_yaml(all_hops(load_declared())), encoding="utf-8")


if __name__ == "__main__":
    main()
