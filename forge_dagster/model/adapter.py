"""LoRA adapters (Hu et al. 2021) by peft: put on a model, written as two plain files, merged into the weights."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from forge_dagster.errors import RecipeError, WeightsError

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def adapted(model: PreTrainedModel, *, rank: int, alpha: int, modules: Sequence[str], seed: int) -> Any:
    """Return the model with an untrained adapter, which alone is trained from here on.

    Raises RecipeError if no matrix has a name that ends in one of `modules`.
    """
    from peft import LoraConfig, get_peft_model

    names = [name.rpartition(".")[2] for name, each in model.named_modules() if isinstance(each, torch.nn.Linear)]
    known = sorted(set(names) - {"lm_head"})  # TRL multiplies by the head's own weight, past any adapter
    unknown = sorted(set(modules) - set(known))
    if unknown:
        raise RecipeError(
            f"modules = {list(modules)}; this model has no {', '.join(unknown)} for an adapter",
            rule=f"an adapter changes some of {', '.join(known)}",
            mend="correct `modules` in the recipe",
        )
    torch.manual_seed(seed)
    config = LoraConfig(
        r=rank, lora_alpha=alpha, lora_dropout=0.0, target_modules=sorted(modules), bias="none", task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config)


def write_adapter(model: Any, out: Path) -> None:
    """Write the adapter of `model` into `out`, the same bytes for the same adapter. OSError if the disk is full."""
    from peft import get_peft_model_state_dict
    from safetensors.torch import save_file

    from forge_dagster.training.checkpoint import disk_errors

    config = model.peft_config["default"].to_dict() | {"base_model_name_or_path": None, "inference_mode": True}
    plain = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    (out / CONFIG).write_text(json.dumps(plain, indent=1, sort_keys=True, default=str), encoding="utf-8")
    tensors = {name: tensor.contiguous() for name, tensor in get_peft_model_state_dict(model).items()}
    with disk_errors():
        save_file(tensors, out / WEIGHTS, metadata={"format": "pt"})
    (out / WEIGHTS).chmod(0o644)


def with_adapter(model: PreTrainedModel, adapter: Path) -> Any:
    """Return the model with the adapter of a folder put on. Raises WeightsError if the adapter is for another model."""
    from peft import PeftModel

    try:
        return PeftModel.from_pretrained(model, str(adapter), local_files_only=True).eval()
    except (RuntimeError, ValueError) as error:
        raise WeightsError(
            f"{adapter} cannot be put on this model: {error}",
            rule="an adapter goes onto the model it was trained on",
            mend="make the adapter again",
        ) from error


def not_finite(folder: Path) -> list[str]:
    """Names of the adapter's weights that are not all numbers."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="pt") as weights:
        return [name for name in weights.keys() if not weights.get_tensor(name).isfinite().all()]  # noqa: SIM118
