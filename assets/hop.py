"""A hop of the pipeline as data: what it reads, which function makes it, and with what configuration."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forge_dagster.declared import Declared
from forge_dagster.provenance.build import External, Order, nothing_stated, stage_of
from forge_dagster.provenance.incumbent import Serving
from forge_dagster.stage import FrozenModel, NoConfig
from resources.compute import numerics


def nothing_external(declared: Declared) -> dict[str, External]:
    """Most hops read artifacts only."""
    return {}


def nothing_serving(declared: Declared) -> Serving | None:
    """Most hops read nothing of the model that serves."""
    return None


def nothing_keeps(declared: Declared) -> tuple[str, ...]:
    """Most hops are made anew."""
    return ()


def no_config(declared: Declared) -> FrozenModel:
    """Configuration of a hop that has nothing to choose."""
    return NoConfig()


@dataclass(frozen=True, kw_only=True)
class Hop:
    """One artifact: `asset` is its Dagster key, `partition` the source, or its shard, where it is made per source."""

    asset: str
    module: str
    description: str
    group: str
    partition: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Input name, as the stage knows it -> artifact key."""
    external: Callable[[Declared], Mapping[str, External]] = nothing_external
    serving: Callable[[Declared], Serving | None] = nothing_serving
    """Which part of the model that serves is an input."""
    kept_by: Callable[[Declared], tuple[str, ...]] = nothing_keeps
    """Releases whose version of it is taken as it is while they serve."""
    config: Callable[[Declared], FrozenModel] = no_config
    states: Callable[[Path], Mapping[str, Any]] = nothing_stated
    """What the ledger says of the content beside its digest."""
    kinds: frozenset[str] = frozenset({"python"})
    shown_after: tuple[str, ...] = ()
    """Assets that Dagster draws it after, of which it takes not the current version but the one that serves."""

    @property
    def key(self) -> str:
        """Artifact key in the store."""
        return f"{self.asset}/{self.partition}" if self.partition else self.asset

    def order(self, declared: Declared, force: bool = False) -> Order:
        """All that decides this artifact, given what was declared."""
        stage = stage_of(self.module)
        return Order(
            key=self.key,
            module=self.module,
            inputs=self.inputs,
            external=self.external(declared),
            config=self.config(declared),
            numerics=numerics(parallel=stage.parallel, asset=self.asset) if stage.computes_floats else None,
            serving=self.serving(declared),
            kept_by=self.kept_by(declared),
            states=self.states,
            force=force,
        )
