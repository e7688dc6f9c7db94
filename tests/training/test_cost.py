"""Operations are counted as the formula says, and agree with what torch counts."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from forge_dagster.model.build import build_model
from forge_dagster.recipe import ModelSpec
from forge_dagster.tokens.order import Span
from forge_dagster.training.cost import COST, Cost, matmul_peak, read_cost, write_cost
from forge_dagster.training.execution import execution

SpecOf = Callable[[str], ModelSpec]


@pytest.mark.parametrize("architecture", ["qwen3", "mistral"])
def test_a_dense_model_costs_what_torch_counts(architecture: str, spec_of: SpecOf) -> None:
    model = build_model(spec_of(architecture), vocab_size=300, positions=64, seed=1)
    model.set_attn_implementation("eager")  # torch does not count the fused one on CPU
    with FlopCounterMode(display=False) as counter:
        model(input_ids=torch.zeros(2, 64, dtype=torch.int64)).logits.sum().backward()
    cost = Cost(model)
    torchs_pairs = 2 * 64 * 64  # it multiplies the masked half too
    assert counter.get_total_flops() == cost.a_token * 128 + cost.a_pair * torchs_pairs
    ours = cost.of([[Span(0, 0, 64)], [Span(1, 0, 64)]])
    assert ours == cost.a_token * 128 + cost.a_pair * 2 * 64 * 65 // 2


def test_a_mixture_costs_its_active_experts(spec_of: SpecOf) -> None:
    sizes = {}
    for experts in (2, 4):
        spec = spec_of("qwen3_moe").model_copy(update={"experts": experts, "experts_per_token": 2})
        sizes[experts] = Cost(build_model(spec, vocab_size=300, positions=64, seed=1)).parameters
    routers = 2 * 32 * 2  # two layers, two more rows each
    assert sizes[4] - sizes[2] == routers


def test_packed_documents_do_not_attend_to_each_other(spec_of: SpecOf) -> None:
    cost = Cost(build_model(spec_of("qwen3"), vocab_size=300, positions=64, seed=1))
    whole, halves = cost.of([[Span(0, 0, 64)]]), cost.of([[Span(0, 0, 32), Span(1, 0, 32)]])
    assert whole - halves == cost.a_pair * (64 * 65 - 2 * 32 * 33) // 2


def test_the_peak_is_measured_once(tmp_path: Path) -> None:
    how = replace(execution(), dtype="float32", threads=1)
    peak = matmul_peak(how, tmp_path)
    assert 1e8 < peak < 1e15
    assert matmul_peak(how, tmp_path) == peak
    (tmp_path / "matmul-peak.json").write_text('{"how": ["float32", 1, "cpu"], "operations_per_second": 5.0}')
    assert matmul_peak(how, tmp_path) == 5.0
    assert matmul_peak(replace(how, threads=2), tmp_path) != 5.0


def test_what_was_spent_is_replaced_whole_so_that_a_kill_leaves_the_old_or_the_new(tmp_path: Path) -> None:
    write_cost(tmp_path, tokens=1, operations=10)
    with (tmp_path / COST).open("rb") as before:
        write_cost(tmp_path, tokens=2, operations=20)
        assert b'"tokens":1' in before.read()
    assert read_cost(tmp_path) == (2, 20)
    assert [path.name for path in tmp_path.iterdir()] == [COST]
