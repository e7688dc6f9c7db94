"""Locks of the image: each package with the SHA-256 of the one file that is installed, as pip resolves them.

`python -m resources.cluster.lock cpu|gpu [--torch WHERE]`, on x86-64 Linux with the image's Python, writes
deploy/requirements.cpu.txt or .gpu.txt. It asks PyPI, and for torch without CUDA the index of PyTorch.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from forge_dagster.errors import IntegrityError
from forge_dagster.home import PROJECT

PYPI, FILES_OF_PYPI = "https://pypi.org/simple", "https://files.pythonhosted.org/"
TORCH_WITHOUT_CUDA = "https://download.pytorch.org/whl/cpu/torch/"
EXTRAS = {"cpu": ("k8s", "ner", "postgres"), "gpu": ("gpu", "k8s", "ner", "postgres")}
TOOLS = ("pip==26.3", "setuptools==80.9.0")
"""What installs the rest, and builds the few packages that come as source."""


def requirements(project: Mapping[str, Any], target: str) -> list[str]:
    """What pyproject.toml asks for of an image; torch of the cpu image has no CUDA."""
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(each for extra in EXTRAS[target] for each in extras[extra]), *TOOLS]
    return [f"{each}+cpu" if target == "cpu" and each.startswith("torch==") else each for each in asked]


def resolve(target: str, torch: str) -> dict[str, Any]:
    """The report of pip on what it would install, without what this machine's settings of pip name."""
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "asked.txt").write_text("\n".join(requirements(project, target)), encoding="utf-8")
        report = folder / "report.json"
        pip = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "--quiet"]
        pip += ["--index-url", PYPI, "--report", str(report), "--requirement", str(folder / "asked.txt")]
        pip += ["--constraint", str(PROJECT / "constraints.txt")]
        pip += ["--find-links", torch] if target == "cpu" else []
        subprocess.run(pip, check=True, env=_without_settings(os.environ))
        told: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return told


def _without_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment in which pip asks no index of this machine's own; how it reaches PyPI stays."""
    kept = {name: value for name, value in environment.items() if not name.startswith("PIP_") or name == "PIP_CERT"}
    return {**kept, "PIP_CONFIG_FILE": os.devnull}


def lines(report: Mapping[str, Any], target: str) -> Iterator[str]:
    """One a package, by name. Raises IntegrityError where a file is not of PyPI, but for torch without CUDA."""
    for each in sorted(report["install"], key=lambda each: str(each["metadata"]["name"]).lower()):
        name, version = each["metadata"]["name"], each["metadata"]["version"]
        told = each["download_info"]
        if not told["url"].startswith(FILES_OF_PYPI) and (target, name) != ("cpu", "torch"):
            raise IntegrityError(
                f"{name}=={version} would come from {told['url']}",
                rule=f"an image is locked to the files of {FILES_OF_PYPI}, which everybody gets",
                mend="run again where pip takes packages from PyPI itself",
            )
        yield f"{name}=={version} --hash=sha256:{told['archive_info']['hashes']['sha256']}"


def path_of(target: str) -> Path:
    """The lock of an image."""
    return PROJECT / "deploy" / f"requirements.{target}.txt"


def main() -> None:
    """Resolve and write."""
    parser = argparse.ArgumentParser(prog="python -m resources.cluster.lock", description=__doc__)
    parser.add_argument("target", choices=sorted(EXTRAS))
    parser.add_argument("--torch", default=TORCH_WITHOUT_CUDA, help="folder or page with torch's wheels without CUDA")
    given = parser.parse_args()
    head = f"# Python 3.11 on x86-64 Linux; made by `python -m resources.cluster.lock {given.target}`."
    found = [head, *lines(resolve(given.target, given.torch), given.target)]
    path_of(given.target).write_text("\n".join([*found, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
