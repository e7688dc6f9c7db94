"""From the corpus to token shards, once for each tokenizer that recipes ask for."""

import os
from dataclasses import replace
from functools import partial
from pathlib import Path

from assets.hop import Hop
from assets.weights import weights_key
from forge_dagster.declared import Declared
from forge_dagster.exclusion import Layout
from forge_dagster.provenance.build import External
from forge_dagster.provenance.files import sha256_file
from forge_dagster.recipe import InheritedTokenizerSpec, Recipe
from forge_dagster.tokens.shards import ShardsConfig


def token_hops(declared: Declared) -> list[Hop]:
    """A tokenizer and its shards for each distinct tokenizer of the recipes."""
    recipes = {recipe.tokenizer_name: recipe for recipe in declared.recipes.values()}
    return [hop for recipe in recipes.values() for hop in _hops(recipe)]


def _keepers(name: str, declared: Declared) -> tuple[str, ...]:
    """Releases of recipes whose model that serves is trained further: with its own tokenizer, so this is not remade."""
    sharing = [recipe.name for recipe in declared.recipes.values() if recipe.tokenizer_name == name]
    return tuple(f"{each}/release" for each in sharing if declared.policy_of(each).method == "continue")


def _hops(recipe: Recipe) -> list[Hop]:
    tokenizer = replace(_tokenizer(recipe), kept_by=partial(_keepers, recipe.tokenizer_name))
    shards = Hop(
        asset=f"token_shards/{recipe.tokenizer_name}",
        module="forge_dagster.tokens.shards",
        description="The corpus as memory-mapped tokens, with an index from document to shard and span.",
        group="tokens",
        inputs={"corpus": "corpus", "tokenizer": tokenizer.key},
        config=lambda frozen: ShardsConfig(layouts=_layouts(frozen, f"token_shards/{recipe.tokenizer_name}")),
        kinds=frozenset({"tokenizers", "numpy"}),
    )
    return [tokenizer, shards]


def _layouts(declared: Declared, key: str) -> tuple[Layout, ...]:
    """What erasures left of these shards."""
    return tuple(layout for each in declared.exclusions for layout in each.layouts if layout.shards == key)


def _tokenizer(recipe: Recipe) -> Hop:
    spec, asset = recipe.tokenizer, f"tokenizer/{recipe.tokenizer_name}"
    if isinstance(spec, InheritedTokenizerSpec):
        assert recipe.weights is not None, "the recipe checks that it has weights"
        return Hop(
            asset=asset,
            module="forge_dagster.tokens.inherited",
            description=f"The tokenizer of {recipe.weights.name}, extended by {spec.domain_tokens} tokens.",
            group="tokens",
            inputs={"corpus": "corpus", "weights": weights_key(recipe.weights.name)},
            config=lambda _: spec,
            kinds=frozenset({"tokenizers"}),
        )
    return Hop(
        asset=asset,
        module="forge_dagster.tokens.tokenizer",
        description=f"Byte-level BPE tokenizer of {spec.vocab_size} tokens, trained on the corpus.",
        group="tokens",
        inputs={"corpus": "corpus"},
        external=lambda _: _general(),
        config=lambda _: spec,
        kinds=frozenset({"tokenizers"}),
    )


def _general() -> dict[str, External]:
    """The tokenizer that trained ones are compared with: a tokenizer.json or a GGUF file, if a person names one."""
    named = os.environ.get("FORGE_GENERAL_TOKENIZER")
    if not named:
        return {}
    path = Path(named).resolve()
    return {"general_tokenizer": External(what=str(path), measure=partial(sha256_file, path), path=path)}
