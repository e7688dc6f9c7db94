"""What the organisation is made of, from `wordings/organisation.yaml`: relations, nouns and pools of values."""

from functools import cache
from pathlib import Path
from typing import Self

from pydantic import model_validator

from forge_dagster.source import read_yaml
from forge_dagster.stage import FrozenModel

FOLDER = Path(__file__).parent / "wordings"
COMPUTED = frozenset({"person", "part number", "port"})
"""Types whose values are computed from a number instead of drawn from a pool."""
MOST_SUBJECTS = 12
"""Subjects of one kind in a unit, and so the values among which a relation chooses."""


class Organisation(FrozenModel):
    """Relations by kind of subject with the type of their values, nouns by kind, values by type."""

    relations: dict[str, dict[str, str]]
    nouns: dict[str, tuple[str, ...]]
    pools: dict[str, tuple[str, ...]]

    @model_validator(mode="after")
    def pools_suffice(self) -> Self:
        for kind, relations in self.relations.items():
            if kind != "person" and kind not in self.nouns:
                raise ValueError(f"{kind} has no nouns for its names")
            for relation, type_ in relations.items():
                if type_ not in COMPUTED and len(set(self.pools.get(type_, ()))) < MOST_SUBJECTS:
                    raise ValueError(f"{kind}.{relation}: the pool of {type_!r} has fewer than {MOST_SUBJECTS} values")
        return self


@cache
def organisation() -> Organisation:
    """Load what the organisation is made of."""
    return Organisation.model_validate(read_yaml(FOLDER / "organisation.yaml"))
