"""Pairs that a model writes about the training documents: one asset for each model that is declared."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from assets.hop import Hop
from forge_dagster.declared import Declared
from forge_dagster.model.weights_config import digest_of
from forge_dagster.pair_source import Generator
from forge_dagster.pairs.generate import GenerateConfig
from forge_dagster.provenance.build import External


def generators(declared: Declared) -> list[str]:
    """Names of the models that are asked for pairs; none unless declared."""
    return [name for name, placed in declared.pairs.items() if isinstance(placed.source, Generator)]


def generated_key(name: str) -> str:
    """Artifact key of what a model wrote."""
    return f"generated/{name}"


def generator_hop(name: str, *, evals: Callable[[Declared], Mapping[str, External]]) -> Hop:
    """The hop of one model; `evals` are the benchmarks that its pairs must not hold."""

    def external(frozen: Declared) -> dict[str, External]:
        placed = frozen.pairs[name]
        if placed.source.kind == "endpoint":
            return dict(evals(frozen))
        path = Path(placed.location)
        return {**evals(frozen), "checkpoint": External(what=str(path), measure=partial(digest_of, path), path=path)}

    def config(frozen: Declared) -> GenerateConfig:
        placed = frozen.pairs[name]
        assert isinstance(placed.source, Generator)
        return GenerateConfig(source=placed.source, location=placed.location)

    return Hop(
        asset=generated_key(name),
        module="forge_dagster.pairs.generate",
        description="Questions and answers that a model wrote about training documents, each checked against its own.",
        group="documents",
        inputs={"corpus": "corpus", "domain_benchmark": "domain_benchmark"},
        external=external,
        config=config,
    )
