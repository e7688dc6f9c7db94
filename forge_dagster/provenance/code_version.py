"""The code version of a stage: a digest over its source closure and the libraries that closure imports."""

import ast
import csv
import hashlib
import importlib.metadata
import importlib.util
import sys
from functools import cache
from pathlib import Path

from forge_dagster.provenance.canonical import fingerprint

PACKAGE = "forge_dagster"
BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")
"""Where statements hold statements."""


@cache
def _own_module(name: str) -> Path | None:
    """File of a dotted name, found without importing anything; None if the name is no module."""
    top, *rest = name.split(".")
    spec = importlib.util.find_spec(top)
    if spec is None or spec.origin is None:
        return None
    if not rest:
        return Path(spec.origin)
    path = Path(spec.origin).parent.joinpath(*rest)
    candidates = (path.with_suffix(".py"), path / "__init__.py")
    return next((candidate for candidate in candidates if candidate.is_file()), None)


@cache
def _statements(path: Path) -> list[ast.Import | ast.ImportFrom]:
    """Every import of a file, anywhere in it."""
    found: list[ast.Import | ast.ImportFrom] = []
    todo: list[ast.AST] = [ast.parse(path.read_bytes(), filename=str(path))]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            found.append(node)
        else:  # a statement stands among statements: what an expression holds need not be looked at
            todo += [each for block in BLOCKS for each in getattr(node, block, ()) if not isinstance(node, ast.expr)]
    return found


@cache
def _imports(path: Path) -> frozenset[str]:
    """Dotted names a file imports; `from a import b` gives both `a` and `a.b`."""
    names: set[str] = set()
    for node in _statements(path):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return frozenset(names)


@cache
def _plugins(path: Path) -> list[str]:
    """Modules of the packages a file imports as objects: folders of plugins, loaded by their file names."""
    found: list[str] = []
    for node in _statements(path):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == PACKAGE:
            for name in (f"{node.module}.{alias.name}" for alias in node.names):
                package = _own_module(name)
                if package is not None and package.name == "__init__.py":
                    found += [f"{name}.{plugin.stem}" for plugin in sorted(package.parent.glob("[!_]*.py"))]
    return found


@cache
def closure(module: str) -> tuple[dict[str, Path], frozenset[str]]:
    """Own modules reachable from `module` by imports, and the third-party packages they import."""
    own: dict[str, Path] = {}
    third: set[str] = set()
    todo = [module]
    while todo:
        name = todo.pop()
        path = _own_module(name)
        if name in own or path is None:
            continue
        own[name] = path
        todo += _plugins(path)
        for imported in _imports(path):
            top = imported.split(".")[0]
            if top == PACKAGE:
                todo.append(imported)
            elif top not in sys.stdlib_module_names:
                third.add(top)
    return own, frozenset(third)


@cache
def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@cache
def _beside(module: Path) -> list[Path]:
    """Files beside a module that bear its name, such as the template of a page: they are part of its source."""
    return [path for path in sorted(module.parent.glob(f"{module.stem}.*")) if path.is_file() and path != module]


@cache
def _version(distribution: str) -> str:
    return importlib.metadata.version(distribution)


@cache
def _distributions() -> dict[str, list[importlib.metadata.Distribution]]:
    """What is installed, by the names under which it is imported."""
    found: dict[str, list[importlib.metadata.Distribution]] = {}
    for distribution in importlib.metadata.distributions():
        for name in _importable(distribution):
            found.setdefault(name, []).append(distribution)
    return found


def _importable(distribution: importlib.metadata.Distribution) -> set[str]:
    """As `importlib.metadata.packages_distributions` has it, which makes an object of each installed file."""
    declared = set((distribution.read_text("top_level.txt") or "").split())
    if declared:
        return declared
    paths = (row[0] for row in csv.reader((distribution.read_text("RECORD") or "").splitlines()) if row)
    return {path.partition("/")[0].removesuffix(".py") for path in paths if path.endswith(".py")}


@cache
def code_version(module: str) -> str:
    """SHA-256 over the source files reachable from `module` and the versions of the libraries they import."""
    own, third = closure(module)
    sources = {name: _sha256(path) for name, path in own.items()}
    sources |= {path.name: _sha256(path) for each in own.values() for path in _beside(each)}
    versions = {
        name: _version(name)
        for package in third
        for name in (each.metadata["Name"] for each in _distributions().get(package, ()))
    }
    return fingerprint({"sources": sources, "libraries": versions})
