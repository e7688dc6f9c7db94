"""How many parameters a model has and how many operations it costs to train, by arithmetic over its shape."""

from dataclasses import dataclass

from forge_dagster.recipe import ModelSpec

MOMENT = 4
"""Bytes of a number of the optimizer's state, which is in float32."""


@dataclass(frozen=True)
class Parameters:
    """Numbers of a model, by what updates and uses them."""

    muon: int
    """In hidden matrices, which have one moment (Muon)."""
    adam: int
    """In embeddings, head, norms and routers, which have two (AdamW)."""
    active: int
    """Multiplied by each token: no lookup, no norm, and of the experts those that it goes to."""

    @property
    def total(self) -> int:
        return self.muon + self.adam

    @property
    def moments(self) -> int:
        """Bytes of the optimizer's state of the whole model."""
        return MOMENT * (self.muon + 2 * self.adam)


def parameters(spec: ModelSpec, vocabulary: int) -> Parameters:
    """Count them from the shape, as transformers lays it out (modeling_mistral.py, modeling_mixtral.py, ...)."""
    hidden, experts = spec.hidden_size, spec.experts or 1
    attention = hidden * spec.head_dim * 2 * (spec.heads + spec.kv_heads)
    mlp = 3 * hidden * spec.intermediate_size
    router = hidden * experts if spec.experts else 0
    norms = 2 * hidden + (2 * spec.head_dim if spec.architecture.startswith("qwen3") else 0)
    embedding = vocabulary * hidden
    head = 0 if spec.tie_embeddings else embedding
    return Parameters(
        muon=spec.layers * (attention + experts * mlp),
        adam=embedding + head + spec.layers * (router + norms) + hidden,
        active=spec.layers * (attention + (spec.experts_per_token or 1) * mlp + router) + embedding,
    )


def operations(spec: ModelSpec, vocabulary: int, tokens: int, sequence: int) -> int:
    """Of so many tokens: 6 N a token, and 12 L H Q a pair of attention, causal pairs only (PaLM, appendix B).

    Rows of `sequence` tokens are taken as one document each, which is the most that attention can cost.
    """
    pairs = tokens * (sequence + 1) // 2
    a_pair = 12 * spec.layers * spec.heads * spec.head_dim
    return 6 * parameters(spec, vocabulary).active * tokens + a_pair * pairs
