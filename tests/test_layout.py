"""The layout and the floors of the project, kept by a machine."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import assets
from forge_dagster.home import PROJECT

TOP_LEVEL = {
    ".ci",
    ".dvc",
    ".dvcignore",
    ".gitignore",
    "CONTRIBUTING.md",
    "LICENSE",
    "Makefile",
    "README.md",
    "agents.yaml",
    "assets",
    "automation.yaml",
    "benchmarks",
    "constraints.txt",
    "dagster.yaml",
    "data",
    "deploy",
    "dvc.yaml",
    "evals",
    "forge_dagster",
    "policies",
    "pyproject.toml",
    "recipes",
    "resources",
    "sensors",
    "sources",
    "tests",
    "workspace.yaml",
}
PACKAGES = ("forge_dagster", "assets", "resources", "sensors")
ROOF = ("forge_dagster/definitions.py", "forge_dagster/cli/launcher.py")


def tracked() -> list[str]:
    """Files git knows, as posix paths."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [name for name in listed.stdout.splitlines() if (PROJECT / name).exists()]


def modules() -> list[Path]:
    return [PROJECT / name for name in tracked() if name.endswith(".py") and name.split("/")[0] in PACKAGES]


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_top_level_is_as_agreed():
    made_by_runs = {"dvc.lock"}
    assert {name.split("/")[0] for name in tracked()} - made_by_runs == TOP_LEVEL


def test_the_packages_are_this_repository():
    assert Path(str(assets.__file__)).resolve().is_relative_to(PROJECT)


@pytest.mark.parametrize("path", modules(), ids=lambda path: path.relative_to(PROJECT).as_posix())
def test_each_file_is_short_and_says_what_it_owns(path: Path):
    text = path.read_text()
    assert ast.get_docstring(ast.parse(text)), "a file opens with one sentence on what it owns"
    assert len(text.splitlines()) < 300
    if path.name == "__init__.py":
        assert len(ast.parse(text).body) == 1, "__init__ holds one docstring"


def test_most_files_are_under_120_lines():
    lengths = [len(path.read_text().splitlines()) for path in modules()]
    assert sum(length <= 120 for length in lengths) > len(lengths) / 2


def test_nothing_below_the_line_imports_dagster():
    offenders = [
        path.relative_to(PROJECT).as_posix()
        for path in modules()
        if path.is_relative_to(PROJECT / "forge_dagster") and "dagster" in imports(path)
    ]
    assert set(offenders) <= set(ROOF)


def test_the_code_location_loads_fast_and_without_torch():
    code = (
        "import sys, time; import forge_dagster.definitions as d; "
        "d.defs.resolve_asset_graph(); print(time.process_time(), 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd="/", capture_output=True, text=True, check=True)
    seconds, torch_loaded = done.stdout.split()  # of the processor: other programs may hold it for a while
    assert torch_loaded == "False"
    assert float(seconds) < 5


def test_the_readme_tree_matches_the_tree():
    readme = (PROJECT / "README.md").read_text()
    block = re.search(r"```tree\n(.*?)```", readme, re.DOTALL)
    assert block, "README.md has a ```tree block"
    named = [line.split()[0] for line in block.group(1).splitlines() if line.strip()]
    names = tracked()
    for entry in named:
        path = entry.rstrip("/")
        assert any(name == path or name.startswith(f"{path}/") for name in names), f"{entry} is in the README only"
    folders = {
        "/".join(name.split("/")[:2]) for name in names if name.startswith("forge_dagster/") and name.count("/") > 1
    }
    assert folders <= {entry.rstrip("/") for entry in named}, "every folder of forge_dagster is in the README"


@pytest.mark.parametrize("word", ["TODO", "FIXME", "XXX", "HACK"])
def test_nothing_is_left_to_do(word: str):
    assert not [path for path in modules() if re.search(rf"\b{word}\b", path.read_text())]
