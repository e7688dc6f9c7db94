"""The chunked cross entropy is torch's, and so are its gradients."""

import pytest
import torch
from torch.nn import functional

from forge_dagster.training import loss as module
from forge_dagster.training.loss import head_cross_entropy


@pytest.mark.parametrize("rows", [1, 7, 20])
def test_it_equals_the_plain_computation(rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHUNK", 7)
    torch.manual_seed(0)
    hidden, weight = torch.randn(rows, 8, requires_grad=True), torch.randn(30, 8, requires_grad=True)
    labels = torch.randint(30, (rows,))

    expected = functional.cross_entropy(hidden @ weight.T, labels, reduction="sum")
    wanted = torch.autograd.grad(3 * expected, [hidden, weight])
    mine = head_cross_entropy(hidden, weight, labels, torch.float32)
    torch.testing.assert_close(mine, expected)
    for left, right in zip(torch.autograd.grad(3 * mine, [hidden, weight]), wanted, strict=True):
        torch.testing.assert_close(left, right)
    with torch.inference_mode():
        torch.testing.assert_close(head_cross_entropy(hidden, weight, labels, torch.float32), expected)


def test_bfloat16_products_stay_close() -> None:
    torch.manual_seed(0)
    hidden, weight, labels = torch.randn(50, 16), torch.randn(40, 16) * 0.1, torch.randint(40, (50,))
    exact = head_cross_entropy(hidden, weight, labels, torch.float32)
    rough = head_cross_entropy(hidden, weight, labels, torch.bfloat16)
    torch.testing.assert_close(rough, exact, rtol=1e-2, atol=0)
