"""The kinds of exports there are, files of forge_dagster/exports, and which of them takes a model."""

import importlib
import importlib.util
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from forge_dagster import exports
from forge_dagster.errors import UserError

EXTRA = "pip install -c constraints.txt -e '.[export]'"


class Target(NamedTuple):
    """What is made: a kind and how its weights are stored; written KIND/PRECISION."""

    kind: str
    precision: str

    def __str__(self) -> str:
        return f"{self.kind}/{self.precision}"


@cache
def export_kind_names() -> tuple[str, ...]:
    """The files of forge_dagster/exports."""
    folder = Path(exports.__path__[0])
    return tuple(sorted(path.stem for path in folder.glob("[!_]*.py")))


def export_kind(name: str) -> Any:
    """The module of a kind of export. Raises UserError if there is no such file."""
    if name not in export_kind_names():
        raise UserError(
            f"export to {name!r}", rule=f"a kind is one of {', '.join(export_kind_names())}", mend="choose one of these"
        )
    return importlib.import_module(f"{exports.__name__}.{name}")


def every_target() -> list[Target]:
    """Every kind in every precision."""
    return [Target(name, precision) for name in export_kind_names() for precision in export_kind(name).PRECISIONS]


def targets(names: Sequence[str], architecture: str) -> list[Target]:
    """What KIND and KIND/PRECISION mean for a model; no names mean all usual ones that take it.

    Raises UserError, before anything is made, if a kind or a precision is unknown or a kind does not take the model.
    """
    if not names:
        return [each for name in taking(architecture) for each in _usual(name)]
    found: list[Target] = []
    for asked in names:
        name, _, precision = asked.partition("/")
        kind = export_kind(name)
        if architecture not in kind.ARCHITECTURES:
            raise UserError(
                f"{name} does not take {architecture}",
                rule=f"{name} takes {', '.join(kind.ARCHITECTURES)}",
                mend=f"export to {' or '.join(taking(architecture)) or 'no kind: none takes it'}",
            )
        if precision and precision not in kind.PRECISIONS:
            raise UserError(
                f"export to {asked}",
                rule=f"a precision of {name} is one of {', '.join(kind.PRECISIONS)}",
                mend="choose one of these",
            )
        found += [Target(name, precision)] if precision else _usual(name)
    return list(dict.fromkeys(found))


def taking(architecture: str) -> list[str]:
    """The kinds that take an architecture."""
    return [name for name in export_kind_names() if architecture in export_kind(name).ARCHITECTURES]


def _usual(name: str) -> list[Target]:
    return [Target(name, precision) for precision, how in export_kind(name).PRECISIONS.items() if how.usual]


def require(name: str) -> None:
    """Raise UserError if a library that a kind needs is not installed."""
    missing = [each for each in export_kind(name).LIBRARIES if importlib.util.find_spec(each) is None]
    if missing:
        raise UserError(
            f"export to {name}: {', '.join(missing)} is not installed",
            rule="exports are made by the optional extra `export`",
            mend=EXTRA,
        )
