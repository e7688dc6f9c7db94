"""What is carried between widths: shapes that fit, and rates by which a step changes features alike."""

import pytest
import torch
from torch import nn

from forge_dagster.errors import UserError
from forge_dagster.recipe import ModelSpec
from forge_dagster.search.width import carried, resized, widths
from forge_dagster.training.optimizer import Optimizers, Rates

WIDE = ModelSpec(
    architecture="qwen3", hidden_size=512, intermediate_size=1024, layers=2, heads=8, kv_heads=4, head_dim=64,
    tie_embeddings=False, rope_theta=10_000.0,
)  # fmt: skip
RATE = 0.02


class Part(nn.Module):
    """A hidden matrix, a head of eight outputs and an embedding of eight inputs, all at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(width, width, bias=False)
        self.lm_head = nn.Linear(width, 8, bias=False)
        self.embed_tokens = nn.Embedding(8, width)
        for parameter in self.parameters():
            nn.init.zeros_(parameter)


def change(width: int, factors: dict[str, float]) -> dict[str, float]:
    """Root mean square of what one step adds to the output of each part, for the input that the gradient saw."""
    torch.manual_seed(0)
    part = Part(width)
    rates = Rates(*(RATE * factors[f"{kind}_lr"] for kind in ("muon", "embedding", "head", "norm", "router")))
    optimizers = Optimizers(part, rates, momentum=0.9, weight_decay=0.0, dtype=torch.float32)
    x = torch.randn(1, width).sign()
    (part.hidden(x) @ torch.randn(width, 3)).sum().backward()
    part.lm_head(x).sum().backward()
    part.embed_tokens(torch.arange(8)).sum().backward()
    optimizers.step(1.0)
    with torch.no_grad():
        added = {"hidden": part.hidden(x), "head": part.lm_head(x), "embedding": part.embed_tokens.weight.detach()}
    return {name: float(each.square().mean().sqrt()) for name, each in added.items()}


def test_a_step_changes_features_alike_at_every_width():
    wide = change(512, dict.fromkeys(carried(WIDE, 512), 1.0))
    for width in (128, 256):
        narrow = change(width, carried(WIDE, width))
        for name, moved in narrow.items():
            assert moved == pytest.approx(wide[name], rel=0.01), (width, name)
    alike = change(128, dict.fromkeys(carried(WIDE, 128), 1.0))
    assert alike["head"] == pytest.approx(wide["head"] / 4, rel=0.01)  # what would be lost without the rule


def test_rates_are_carried_there_and_back():
    down, same = carried(WIDE, 128), carried(WIDE, 512)
    assert set(same.values()) == {1.0}
    assert down == {"muon_lr": 1, "embedding_lr": 1, "head_lr": 4, "norm_lr": 1, "router_lr": 4}
    back = carried(resized(WIDE, 128), 512)
    assert all(down[rate] * back[rate] == 1 for rate in down)
    assert carried(WIDE.model_copy(update={"tie_embeddings": True}), 128)["embedding_lr"] == 4


def test_a_narrow_model_is_one_and_keeps_its_heads_size():
    for width in widths(WIDE):
        narrow = ModelSpec.model_validate(resized(WIDE, width).model_dump())
        assert narrow.head_dim == WIDE.head_dim
        assert narrow.heads / narrow.kv_heads == 2
        assert narrow.hidden_size / narrow.heads == WIDE.hidden_size / WIDE.heads
    assert resized(WIDE, 512) == WIDE
    for width in (100, 1024):
        with pytest.raises(UserError, match="the width is one of 128, 256, 384, 512"):
            resized(WIDE, width)
