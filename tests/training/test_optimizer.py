"""Muon against torch's own on matrices, expert by expert on stacks, and every parameter in exactly one group."""

import pytest
import torch
from torch import nn

from forge_dagster.model.build import build_model
from forge_dagster.recipe import ModelSpec
from forge_dagster.training.optimizer import Muon, Optimizers, Rates, kind_of, orthogonalise

RATES = Rates(muon=0.02, embedding=0.1, head=0.02, norm=0.01, router=0.01)


@pytest.mark.parametrize("shape", [(24, 24), (16, 48), (48, 16)])
def test_singular_values_end_near_one(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrices = torch.randn(5, *shape)
    values = torch.linalg.svdvals(orthogonalise(matrices, dtype=torch.float32))
    assert float(values.max()) < 1.3
    assert float(values.median()) > 0.6
    # Each matrix of a stack is orthogonalised by itself.
    for matrix, whole in zip(matrices, orthogonalise(matrices, dtype=torch.float32), strict=True):
        torch.testing.assert_close(orthogonalise(matrix[None], dtype=torch.float32)[0], whole)


@pytest.mark.parametrize("shape", [(32, 16), (16, 32)])
def test_on_matrices_it_is_torchs_muon(shape: tuple[int, int]) -> None:
    torch.manual_seed(1)
    start = torch.randn(shape)
    mine, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    ours = Muon([("a", mine)], lr=0.05, momentum=0.9, weight_decay=0.1, dtype=torch.bfloat16)
    reference = torch.optim.Muon([theirs], lr=0.05, momentum=0.9, weight_decay=0.1, nesterov=True)
    for _ in range(4):
        mine.grad = torch.randn(shape)
        theirs.grad = mine.grad.clone()
        ours.step()
        reference.step()
    torch.testing.assert_close(mine, theirs, rtol=0, atol=5e-3)  # bfloat16 products in another order
    assert (mine - start).abs().mean() > 0.02


def test_experts_are_matrices_of_their_own() -> None:
    torch.manual_seed(2)
    start, grad = torch.randn(3, 16, 12), torch.randn(3, 16, 12)

    def step(named: list[tuple[str, nn.Parameter]], grads: list[torch.Tensor]) -> list[torch.Tensor]:
        for (_, parameter), value in zip(named, grads, strict=True):
            parameter.grad = value.clone()
        Muon(named, lr=0.1, momentum=0.9, weight_decay=0.0, dtype=torch.float32).step()
        return [parameter.detach() for _, parameter in named]

    (down,) = step([("experts.down_proj", nn.Parameter(start.clone()))], [grad])
    alone = step([(f"e{i}", nn.Parameter(start[i].clone())) for i in range(3)], list(grad))
    torch.testing.assert_close(down, torch.stack(alone))

    (both,) = step([("experts.gate_up_proj", nn.Parameter(start.clone()))], [grad])
    halves = [(f"e{i}{j}", nn.Parameter(start[i, 8 * j : 8 * j + 8].clone())) for i in range(3) for j in range(2)]
    parts = step(halves, [grad[i, 8 * j : 8 * j + 8] for i in range(3) for j in range(2)])
    torch.testing.assert_close(both, torch.stack(parts).view(3, 16, 12))


def _optimizers(model: nn.Module) -> Optimizers:
    return Optimizers(model, RATES, momentum=0.9, weight_decay=0.0, dtype=torch.float32)


def test_every_parameter_learns_by_its_kind(dense_or_mixture: ModelSpec) -> None:
    model = build_model(dense_or_mixture, vocab_size=300, positions=32, seed=1)
    kinds: dict[str, list[str]] = {}
    for name, parameter in model.named_parameters():
        kinds.setdefault(kind_of(name, parameter), []).append(name)
    assert kinds["embedding"] == ["model.embed_tokens.weight"]
    assert kinds["head"] == ["lm_head.weight"]
    assert all(name.endswith("norm.weight") for name in kinds["norm"])
    assert len(kinds.get("router", [])) == (2 if dense_or_mixture.experts else 0)
    assert all("proj" in name for name in kinds["muon"])
    grouped = [p for part in _optimizers(model).parts.values() for group in part.param_groups for p in group["params"]]
    assert len(grouped) == len({id(p) for p in grouped}) == len(list(model.parameters()))


def test_state_comes_back(dense_or_mixture: ModelSpec) -> None:
    def one() -> tuple[nn.Module, Optimizers]:
        model = build_model(dense_or_mixture, vocab_size=300, positions=32, seed=1)
        return model, _optimizers(model)

    def step(model: nn.Module, optimizers: Optimizers, seed: int) -> None:
        torch.manual_seed(seed)
        for parameter in model.parameters():
            parameter.grad = torch.randn_like(parameter)
        optimizers.step(0.5)
        assert all(parameter.grad is None for parameter in model.parameters())

    model, optimizers = one()
    step(model, optimizers, 0)
    copy, loaded = one()
    copy.load_state_dict(model.state_dict())
    loaded.load({key: value.clone() for key, value in optimizers.state().items()})
    step(model, optimizers, 1)
    step(copy, loaded, 1)
    for (name, left), right in zip(model.named_parameters(), copy.parameters(), strict=True):
        assert torch.equal(left, right), name
