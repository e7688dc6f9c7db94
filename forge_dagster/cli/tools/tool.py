"""What a tool is: a name, typed and bounded arguments, and a function over a desk."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from forge_dagster.cli.tools.desk import Desk
from forge_dagster.source import NAME
from forge_dagster.stage import FrozenModel

MOST_BYTES = 20_000  # of a tool's arguments as JSON, unless it says otherwise
MOST_DEPTH = 24

Known = Annotated[str, Field(pattern=f"^{NAME.pattern}$", description="a name, as the lists give it")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Card = Annotated[
    str, Field(pattern=rf"^{NAME.pattern}(@[0-9a-f]{{6,64}})?$", description="RECIPE, or RECIPE@DIGEST of a scorecard")
]
Launch = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,79}$", description="of `execute` or `runs`")]


class Nothing(FrozenModel):
    """A tool without arguments."""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """One tool."""

    name: str
    description: str
    arguments: type[FrozenModel]
    run: Callable[[Desk, Any], dict[str, Any]]
    read_only: bool = True
    most_bytes: int = MOST_BYTES
