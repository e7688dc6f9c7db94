"""From the corpus to token shards, once for each tokenizer that recipes ask for."""

from assets.hop import Hop
from forge_dagster.declared import Declared
from forge_dagster.recipe import TokenizerSpec


def token_hops(declared: Declared) -> list[Hop]:
    """A tokenizer and its shards for each distinct tokenizer of the recipes."""
    specs = {recipe.tokenizer.name: recipe.tokenizer for recipe in declared.recipes.values()}
    return [hop for spec in specs.values() for hop in _hops(spec)]


def _hops(spec: TokenizerSpec) -> list[Hop]:
    tokenizer = Hop(
        asset=f"tokenizer/{spec.name}",
        module="forge_dagster.tokens.tokenizer",
        description=f"Byte-level BPE tokenizer of {spec.vocab_size} tokens, trained on the corpus.",
        group="tokens",
        inputs={"corpus": "corpus"},
        config=lambda _: spec,
        kinds=frozenset({"tokenizers"}),
    )
    shards = Hop(
        asset=f"token_shards/{spec.name}",
        module="forge_dagster.tokens.shards",
        description="The corpus as memory-mapped tokens, with an index from document to shard and span.",
        group="tokens",
        inputs={"corpus": "corpus", "tokenizer": tokenizer.key},
        kinds=frozenset({"tokenizers", "numpy"}),
    )
    return [tokenizer, shards]
