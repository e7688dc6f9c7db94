"""A transformers model from a ModelSpec: its configuration, and seeded weights to start from."""

import math
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig, PreTrainedConfig, PreTrainedModel

from forge_dagster.recipe import MOE, ModelSpec
from forge_dagster.tokens.control import END_ID, END_OF_TEXT_ID, PAD_ID

ROUTER_AUX_LOSS = 0.01
"""Weight of the load-balancing loss (Fedus et al. 2021, Switch Transformer, section 2.2)."""

ZERO_AT_START = ("o_proj.weight", "down_proj.weight", "experts.down_proj", "lm_head.weight")


def configure(spec: ModelSpec, *, vocab_size: int, positions: int) -> PreTrainedConfig:
    """Return the configuration of `spec`; `positions` is the longest sequence it is trained on, in tokens."""
    settings: dict[str, Any] = {
        "vocab_size": vocab_size,
        "hidden_size": spec.hidden_size,
        "intermediate_size": spec.intermediate_size,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "head_dim": spec.head_dim,
        "max_position_embeddings": positions,
        "tie_word_embeddings": spec.tie_embeddings,
        "rope_parameters": {"rope_type": "default", "rope_theta": spec.rope_theta},
        "sliding_window": None,
        "attention_dropout": 0.0,
        "bos_token_id": END_OF_TEXT_ID,
        "eos_token_id": END_OF_TEXT_ID,
        "pad_token_id": PAD_ID,
    }
    if spec.architecture in MOE:
        settings |= {
            "num_experts_per_tok": spec.experts_per_token,
            "router_aux_loss_coef": ROUTER_AUX_LOSS,
            "output_router_logits": False,  # the loop asks for them; inference has no use for them
        }
    if spec.architecture == "mixtral":
        settings |= {"num_local_experts": spec.experts, "router_jitter_noise": 0.0}
    if spec.architecture == "qwen3_moe":
        settings |= {
            "num_experts": spec.experts,
            "moe_intermediate_size": spec.intermediate_size,
            "norm_topk_prob": True,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        }
    return AutoConfig.for_model(spec.architecture, **settings)


def build_model(spec: ModelSpec, *, vocab_size: int, positions: int, seed: int) -> PreTrainedModel:
    """Return an untrained float32 model, in training mode.

    Hidden matrices are uniform with the variance 1 / fan-in, embeddings normal with variance 1; whatever writes into
    the residual stream, and an untied head, starts at zero, so that the first prediction is uniform and every layer
    is the identity (Zhang et al. 2019, Fixup; Yang et al. 2022, section D.2).
    """
    config = configure(spec, vocab_size=vocab_size, positions=positions)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation="sdpa")
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():  # tied weights appear once
            if name.endswith(ZERO_AT_START):
                parameter.zero_()
            elif name.endswith("embed_tokens.weight"):
                scale = 1.0 if not spec.tie_embeddings else spec.hidden_size**-0.5
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale)
            elif parameter.ndim >= 2:
                bound = math.sqrt(3.0 / parameter.shape[-1])
                parameter.copy_((torch.rand(parameter.shape, generator=generator) * 2 - 1) * bound)
    model.generation_config = GenerationConfig(
        bos_token_id=END_OF_TEXT_ID, eos_token_id=[END_OF_TEXT_ID, END_ID], pad_token_id=PAD_ID
    )
    return model.train()
