"""What each agent may spend, read and ask: the type behind `agents.yaml`, beside automation.yaml."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import Field, ValidationError, model_validator

from forge_dagster.errors import UserError
from forge_dagster.home import PROJECT
from forge_dagster.provenance.spent import Unit
from forge_dagster.source import Name, explain, read_yaml
from forge_dagster.stage import FrozenModel

KIND = "agent"


class Sealing(FrozenModel):
    """Which part of every evaluation agents see, and how coarse the rest is told to them."""

    development_share: float = Field(
        default=0.3, gt=0, lt=1, description="share of the items that agents see; a hash of the item's id decides"
    )
    rounding: float = Field(
        default=0.05, gt=0, le=1, description="scores over sealed items are rounded to multiples of this"
    )


class Quota(FrozenModel):
    """One agent. Hours, trials, tokens and looks at gates are counted over the last `days`, from the ledger."""

    name: Name
    sources: tuple[Name, ...] = Field(default=(), description="sources whose documents it may read; none: no text")
    unit: Unit = Field(default="processor", description="whose hours are counted")
    days: float = Field(default=30, gt=0, le=3660)
    hours: float = Field(default=0, ge=0, allow_inf_nan=False, description="most hours of its runs")
    trials: int = Field(default=0, ge=0, description="most runs that it starts; a study counts as all its trials")
    tokens: int = Field(default=0, ge=0, description="most tokens of the pre-trainings that it starts")
    runs_at_once: int = Field(default=1, ge=1, le=64)
    scorecards: int = Field(default=20, ge=0, description="most scorecards of which it is told the gates")
    searches_a_day: int = Field(default=500, ge=0, description="most questions that return text of documents")
    open_proposals: int = Field(default=20, ge=0, description="most proposals that wait for a person")
    calls_a_minute: int = Field(default=240, ge=1, le=100_000)

    @property
    def actor(self) -> str:
        """As the ledger and the runs name it."""
        return f"{KIND}:{self.name}"


class Agents(FrozenModel):
    """Every agent of one installation, and the seal on its evaluations."""

    sealing: Sealing = Sealing()
    agents: tuple[Quota, ...] = ()

    @model_validator(mode="after")
    def names_differ(self) -> Self:
        names = [each.name for each in self.agents]
        if len(set(names)) < len(names):
            raise ValueError(f"agents = {names}: each has a name of its own")
        return self

    def quota(self, name: str) -> Quota:
        """The quota of an agent. Raises UserError if there is none: who is not named may do nothing."""
        for each in self.agents:
            if each.name == name:
                return each
        known = ", ".join(each.name for each in self.agents) or "none"
        raise UserError(
            f"agent {name!r:.80} has no quota", rule=f"an agent of agents.yaml: {known}", mend="a person adds it there"
        )


def agents_file(environment: Mapping[str, str] = os.environ) -> Path:
    """The file of FORGE_AGENTS, else agents.yaml of the project."""
    return Path(environment.get("FORGE_AGENTS") or PROJECT / "agents.yaml").resolve()


def load_agents(path: Path) -> Agents:
    """Read the quotas. Raises RecipeError, naming key and rule, if the file breaks one."""
    try:
        return Agents.model_validate(read_yaml(path))
    except ValidationError as error:
        raise explain(path, error) from error
