"""Models of every architecture start as designed, and survive the way through a Hugging Face folder."""

import json
import math
from pathlib import Path

import pytest
import torch
from transformers import PreTrainedModel

from forge_dagster.model.build import ROUTER_AUX_LOSS, build_model
from forge_dagster.model.folder import load_model, write_model
from forge_dagster.recipe import MOE, ModelSpec

ARCHITECTURES = ("qwen3", "mistral", "mixtral", "qwen3_moe")
TOKENS = torch.tensor([[5, 9, 40, 7, 99, 3]])


def _spec(architecture: str, *, tied: bool = False) -> ModelSpec:
    experts = {"experts": 4, "experts_per_token": 2} if architecture in MOE else {}
    return ModelSpec.model_validate(
        {
            "architecture": architecture, "hidden_size": 32, "intermediate_size": 48, "layers": 2, "heads": 4,
            "kv_heads": 2, "head_dim": 8, "tie_embeddings": tied, "rope_theta": 10_000.0, **experts,
        }
    )  # fmt: skip


def _build(architecture: str, *, seed: int = 1, tied: bool = False) -> PreTrainedModel:
    return build_model(_spec(architecture, tied=tied), vocab_size=100, positions=64, seed=seed)


@pytest.mark.parametrize("architecture", MOE)
def test_the_experts_of_a_mixture_are_multiplied_in_groups(architecture: str) -> None:
    assert _build(architecture).config._experts_implementation == "grouped_mm"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_first_prediction_is_uniform_and_layers_are_the_identity(architecture: str) -> None:
    model = _build(architecture)
    assert model.config.model_type == architecture
    assert model.training
    output = model(input_ids=TOKENS, output_hidden_states=True)
    assert not output.logits.any()
    assert torch.equal(output.hidden_states[0], output.hidden_states[1])
    for name, parameter in model.named_parameters():
        assert parameter.dtype == torch.float32
        if name.endswith(("q_proj.weight", "gate_proj.weight", "gate_up_proj", "mlp.gate.weight")):
            assert float(parameter.detach().std()) == pytest.approx(1 / math.sqrt(32), rel=0.2)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_seed_alone_decides_the_weights(architecture: str) -> None:
    torch.manual_seed(99)
    first = _build(architecture).state_dict()
    torch.manual_seed(7)
    again, other = _build(architecture).state_dict(), _build(architecture, seed=2).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["model.embed_tokens.weight"], other["model.embed_tokens.weight"])


@pytest.mark.parametrize("architecture", MOE)
def test_a_mixture_has_its_experts_and_balances_them(architecture: str) -> None:
    model = _build(architecture)
    shapes = {name.rpartition("experts.")[2]: tuple(value.shape) for name, value in model.named_parameters()}
    assert shapes["gate_up_proj"] == (4, 96, 32)
    assert shapes["down_proj"] == (4, 32, 48)
    assert model.config.num_experts_per_tok == 2
    assert model.config.router_aux_loss_coef == ROUTER_AUX_LOSS


def test_tied_embeddings_are_one_matrix_that_is_not_zero() -> None:
    model = _build("qwen3", tied=True)
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    assert model.get_input_embeddings().weight.any()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_written_model_is_read_back_as_it_was(architecture: str, tmp_path: Path) -> None:
    model = _build(architecture).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    tokenizer, out = tmp_path / "tokenizer", tmp_path / "model"
    tokenizer.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (tokenizer / name).write_text("{}")

    write_model(model, tokenizer, out)

    assert sorted(path.name for path in out.iterdir()) == [
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
    ]  # fmt: skip
    config = json.loads((out / "config.json").read_text())
    assert (config["model_type"], config["max_position_embeddings"], config["dtype"]) == (architecture, 64, "float32")
    assert json.loads((out / "generation_config.json").read_text())["eos_token_id"] == [1, 4]
    with torch.inference_mode():
        assert torch.equal(load_model(out)(input_ids=TOKENS).logits, model(input_ids=TOKENS).logits)
