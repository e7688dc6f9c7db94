"""dvc.yaml, made from the hops: for people who know DVC, the same graph and the same commands."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from assets.hop import Hop
from forge_dagster.errors import UserError
from forge_dagster.home import PROJECT, Home, folder_of
from forge_dagster.source import source_of
from forge_dagster.versions.repository import root_of
from forge_dagster.versions.summaries import summary_of

HEADER = "# Made from the asset graph by `forge run` and `python -m assets.dvc`. Dagster owns execution.\n"
FOLDERS = ("recipes", "sources", "policies", "evals")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where dvc.yaml stands and where what it names lies."""

    root: Path
    home: Home
    folders: dict[str, Path]

    def path(self, path: Path) -> str:
        """A path as dvc.yaml names it: relative where it is in the repository."""
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)

    def file(self, kind: str, name: str) -> str:
        """A file of `recipes`, `sources`, ..."""
        return self.path(self.folders[kind] / name)

    def beside(self, key: str, name: str) -> str:
        """A small file of an artifact, outside its versions."""
        return self.path(self.home.artifacts / key / name)

    def command(self, key: str) -> str:
        """What makes an artifact, whatever the environment that DVC is started in says of folders."""
        given = {"home": self.home.root, **self.folders}
        usual = {"home": PROJECT / "data", **{kind: PROJECT / kind for kind in FOLDERS}}
        moved = [
            f"FORGE_{kind.upper()}={shlex.quote(self.path(path))}"
            for kind, path in given.items()
            if path != usual[kind]
        ]
        return " ".join([*moved, f"forge run --select {key}"])


PROJECT_LAYOUT = Layout(root=PROJECT, home=Home(PROJECT / "data"), folders={kind: PROJECT / kind for kind in FOLDERS})


def layout_of(home: Home) -> Layout:
    """Where things lie for this process and this home."""
    return Layout(root=root_of(home), home=home, folders={kind: folder_of(kind) for kind in FOLDERS})


def stage_name(key: str) -> str:
    """DVC allows no slash in a stage name."""
    return key.replace("/", "--")


def dvc_yaml(hops: Sequence[Hop], layout: Layout = PROJECT_LAYOUT) -> str:
    """Text of dvc.yaml: one stage an artifact, over the CURRENT pointers; metrics, plots and models beside them."""
    stages: dict[str, Any] = {}
    for hop in hops:
        deps = {layout.beside(key, "CURRENT") for key in hop.inputs.values()} | _files(hop, layout)
        stages[stage_name(hop.key)] = {
            "cmd": layout.command(hop.key),
            **({"deps": sorted(deps)} if deps else {}),
            # Without `persist` DVC deletes an output before its stage runs.
            "outs": [{layout.beside(hop.key, "CURRENT"): {"cache": False, "persist": True}}],
        }
    text: str = yaml.safe_dump({"stages": stages, **_shown(hops, layout)}, sort_keys=False, width=120)
    return HEADER + text


def _files(hop: Hop, layout: Layout) -> set[str]:
    """Files that people edit and that an artifact follows from."""
    if hop.asset == "raw_documents" and hop.partition:
        return {layout.file("sources", f"{source_of(hop.partition)}.yaml")}
    if hop.asset.startswith("generated/"):
        return {layout.file("sources", f"pairs/{hop.asset.split('/')[1]}.yaml")}
    if "/" in hop.asset and hop.group not in ("tokens", "external", "comparisons", "studies"):
        return {layout.file("recipes", f"{hop.asset.split('/')[0]}.yaml")}
    return set()


def _shown(hops: Sequence[Hop], layout: Layout) -> dict[str, Any]:
    """What `dvc metrics show`, `dvc plots show` and `dvc artifacts get` show of the current versions."""
    summaries = [(hop, layout.beside(hop.key, name)) for hop in hops if (name := summary_of(hop.key))]
    return {
        "metrics": [path for _, path in summaries if path.endswith(".metrics.json")],
        "plots": [
            {path: {"x": "step", "y": "loss", "title": hop.key}} for hop, path in summaries if path.endswith(".csv")
        ],
        "artifacts": {
            hop.asset.split("/")[0].replace("_", "-"): {"path": path, "type": "model", "desc": hop.description}
            for hop, path in summaries
            if path.endswith(".manifest.json")
        },
    }


def refresh(home: Home, hops: Sequence[Hop]) -> None:
    """Write dvc.yaml of the home's repository if the graph has changed. Raises UserError if it is not ours."""
    layout = layout_of(home)
    path, text = layout.root / "dvc.yaml", dvc_yaml(hops, layout)
    found = path.read_text(encoding="utf-8") if path.exists() else HEADER
    if not found.startswith("# Made from the asset graph"):
        raise UserError(
            f"{path} was not made by forge",
            rule="the dvc.yaml at the top of the repository that holds the home is made from the asset graph",
            mend="put your own stages into a dvc.yaml in another folder of the repository, or set FORGE_HOME elsewhere",
        )
    if found != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def main() -> None:
    """Write dvc.yaml of the project."""
    from assets.graph import all_hops
    from forge_dagster.declared import load_declared

    (PROJECT / "dvc.yaml").write_text(dvc_yaml(all_hops(load_declared())), encoding="utf-8")


if __name__ == "__main__":
    main()
