"""The locks of the image hold what pyproject.toml asks for, in the versions of constraints.txt, each with a hash."""

import importlib.metadata
import re
import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from forge_dagster.errors import IntegrityError
from forge_dagster.home import PROJECT
from resources.cluster.lock import EXTRAS, TOOLS, lines, path_of, requirements

LINE = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>\S+) --hash=sha256:(?P<hash>[0-9a-f]{64})")
CUDA = re.compile(r"nvidia-|cuda-|triton$")
"""What torch of PyPI brings, and the one of this environment may not."""
FILES = "https://files.pythonhosted.org/packages/aa/bb/"


def locked(target: str) -> dict[str, str]:
    """Versions by name. Fails on a line that is not name, version and hash."""
    found = {}
    for line in path_of(target).read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            match = LINE.fullmatch(line)
            assert match, line
            found[canonicalize_name(match["name"])] = match["version"]
    return found


def pinned() -> dict[str, str]:
    every = [*(PROJECT / "constraints.txt").read_text(encoding="utf-8").splitlines(), *TOOLS]
    pairs = (line.split("==") for line in every if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def closure(asked: list[str]) -> set[str]:
    """Names of all that these requirements need, by what the installed packages say of themselves."""
    todo, seen = [(Requirement(each), "") for each in asked], set[tuple[str, str]]()
    while todo:
        wanted, extra = todo.pop()
        if wanted.marker and not wanted.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(wanted.name)
        for chosen in {"", *wanted.extras}:
            if (name, chosen) not in seen:
                seen.add((name, chosen))
                todo += [(Requirement(each), chosen) for each in importlib.metadata.requires(wanted.name) or ()]
    return {name for name, _ in seen}


@pytest.mark.parametrize("target", sorted(EXTRAS))
def test_a_lock_is_the_closure_of_the_project_as_it_is_pinned(target: str):
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found, versions = locked(target), pinned()
    needed = closure(requirements(project, target))
    cuda = {name for name in found if CUDA.match(name)}
    assert found.keys() - cuda == needed - {name for name in needed if CUDA.match(name)}
    assert bool(cuda) is (target == "gpu")
    assert {name: version.removesuffix("+cpu") for name, version in found.items() if name not in cuda} == {
        name: versions[name] for name in found.keys() - cuda
    }


def test_both_images_have_the_same_but_for_what_computes_on_gpus():
    cpu, gpu = (set(path_of(target).read_text(encoding="utf-8").splitlines()[1:]) for target in ("cpu", "gpu"))
    assert {line.partition("==")[0] for line in cpu - gpu} == {"torch"}


def report(url: str, name: str = "xxhash") -> dict[str, object]:
    told = {"url": url, "archive_info": {"hashes": {"sha256": "0" * 64}}}
    return {"install": [{"download_info": told, "metadata": {"name": name, "version": "1"}}]}


def test_a_file_that_is_not_of_pypi_is_refused():
    assert list(lines(report(f"{FILES}xxhash-1.whl"), "cpu")) == [f"xxhash==1 --hash=sha256:{'0' * 64}"]
    with pytest.raises(IntegrityError, match=r"xxhash==1 would come from file:///opt/xxhash-1\.whl"):
        list(lines(report("file:///opt/xxhash-1.whl"), "cpu"))
    with pytest.raises(IntegrityError, match="torch==1 would come from"):
        list(lines(report("https://example.org/torch-1.whl", "torch"), "gpu"))
    assert list(lines(report("https://example.org/torch-1.whl", "torch"), "cpu"))
