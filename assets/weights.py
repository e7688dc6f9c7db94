"""Open weights that recipes go on from: one asset for each, shared by the recipes that name it."""

from functools import partial
from pathlib import Path

from assets.hop import Hop
from forge_dagster.declared import Declared
from forge_dagster.home import folder_of
from forge_dagster.model.weights_config import WeightsConfig, digest_of
from forge_dagster.provenance.build import External
from forge_dagster.recipe import WeightsSpec


def weights_key(name: str) -> str:
    """Artifact key of open weights."""
    return f"external/{name}"


def weights_hops(declared: Declared) -> list[Hop]:
    """One hop for each name; recipes that share a name agree on the rest."""
    return [_hop(spec) for spec in declared.weights().values()]


def _hop(spec: WeightsSpec) -> Hop:
    def external(frozen: Declared) -> dict[str, External]:
        path = folder_of("recipes") / Path(frozen.weights()[spec.name].location).expanduser()
        return {"weights": External(what=str(path), measure=partial(digest_of, path), path=path)}

    def config(frozen: Declared) -> WeightsConfig:
        found = frozen.weights()[spec.name]
        return WeightsConfig(origin=found.origin, licence=found.licence)

    return Hop(
        asset=weights_key(spec.name),
        module="forge_dagster.model.weights",
        description="Open weights from outside: scanned, their digests and licence noted, as plain safetensors.",
        group="external",
        external=external,
        config=config,
        kinds=frozenset({"huggingface"}),
    )
