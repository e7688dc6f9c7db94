"""Experts are counted where tokens reach them; an expert that a router starves is found."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from forge_dagster.model.build import build_model
from forge_dagster.recipe import ModelSpec
from forge_dagster.training.router import RouterCounts, layer_use

SpecOf = Callable[[str], ModelSpec]


@pytest.mark.parametrize("architecture", ["qwen3_moe", "mixtral"])
def test_a_starved_expert_is_dead(architecture: str, spec_of: SpecOf) -> None:
    model = build_model(spec_of(architecture), vocab_size=300, positions=32, seed=1)
    counts = RouterCounts(model)
    ids = torch.randint(0, 300, (4, 32), generator=torch.Generator().manual_seed(1))
    model.base_model(input_ids=ids, use_cache=False)
    alive = counts.take()
    assert [use.dead for use in alive] == [[], []]
    for gate in (layer.mlp.gate for layer in model.model.layers):
        gate.register_forward_hook(_without_expert_two)
    model.base_model(input_ids=ids, use_cache=False)
    for before, starved in zip(alive, counts.take(), strict=True):
        assert starved.dead == [2]
        assert starved.entropy < before.entropy
        assert starved.dropped == 0


def _without_expert_two(gate: Any, arguments: Any, output: Any) -> Any:
    logits, scores, chosen = output
    return logits, scores, torch.where(chosen == 2, (chosen + 1) % 4, chosen)


def test_what_no_expert_takes_is_dropped(spec_of: SpecOf) -> None:
    model = build_model(spec_of("qwen3_moe"), vocab_size=300, positions=32, seed=1)
    counts, experts = RouterCounts(model), model.model.layers[0].mlp.experts
    chosen = torch.tensor([[0, 1], [2, 4], [3, 4], [0, 2]])  # there is no expert 4
    experts._is_expert_parallel = True
    experts(torch.zeros(4, 32), chosen, torch.full((4, 2), 0.5))
    model.model.layers[1].mlp.experts(torch.zeros(4, 32), chosen.clamp(max=3), torch.full((4, 2), 0.5))
    first, second = counts.take()
    assert (first.dropped, second.dropped) == (0.25, 0)


def test_entropy_shares_and_what_is_dead() -> None:
    equal = layer_use([10, 10, 10, 10, 0])
    assert (equal.shares, equal.entropy, equal.dropped, equal.dead) == ([0.25] * 4, pytest.approx(1), 0, [])
    starved = layer_use([100, 100, 1, 0, 67])
    assert starved.dead == [2, 3]
    assert starved.entropy < 0.6
    assert starved.dropped == 0.25


def test_a_dense_model_has_no_routers(spec_of: SpecOf) -> None:
    assert RouterCounts(build_model(spec_of("qwen3"), vocab_size=300, positions=32, seed=1)).take() == []
