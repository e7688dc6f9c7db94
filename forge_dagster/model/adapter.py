"""LoRA adapters (Hu et al. 2021) by peft: their configuration, their plain files, their way into the weights."""

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import PreTrainedModel

from forge_dagster.errors import RecipeError, WeightsError
from forge_dagster.model.folder import write_model
from forge_dagster.tokens.encoding import TOKENIZER_FILES
from forge_dagster.training.checkpoint import disk_errors
from forge_dagster.training.tuning import Lora

if TYPE_CHECKING:
    from peft import LoraConfig

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"


def peft_config(model: PreTrainedModel, lora: Lora | None) -> "LoraConfig | None":
    """What a trainer of TRL puts an untrained adapter on `model` by; none if all weights are trained.

    Raises RecipeError if no matrix has a name that ends in one of `modules`.
    """
    if lora is None:
        return None
    from peft import LoraConfig

    names = [name.rpartition(".")[2] for name, each in model.named_modules() if isinstance(each, torch.nn.Linear)]
    known = sorted(set(names) - {"lm_head"})  # TRL multiplies by the head's own weight, past any adapter
    unknown = sorted(set(lora.modules) - set(known))
    if unknown:
        raise RecipeError(
            f"modules = {list(lora.modules)}; this model has no {', '.join(unknown)} for an adapter",
            rule=f"an adapter changes some of {', '.join(known)}",
            mend="correct `lora.modules` in the recipe",
        )
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=0.0,
        target_modules=sorted(lora.modules),
        bias="none",
        task_type="CAUSAL_LM",
    )


def write_trained(model: Any, tokenizer: Path, out: Path) -> dict[str, int]:
    """Write the adapter that was trained, or else the whole model, and the tokenizer; return counts of an adapter.

    The same adapter gives the same bytes. Raises OSError if the disk is full.
    """
    from peft import PeftModel, get_peft_model_state_dict
    from safetensors.torch import save_file

    if not isinstance(model, PeftModel):
        write_model(model, tokenizer, out)
        return {}
    config = model.peft_config["default"].to_dict() | {"base_model_name_or_path": None, "inference_mode": True}
    plain = {name: sorted(value) if isinstance(value, set) else value for name, value in config.items()}
    (out / CONFIG).write_text(json.dumps(plain, indent=1, sort_keys=True, default=str), encoding="utf-8")
    tensors = {name: tensor.contiguous() for name, tensor in get_peft_model_state_dict(model).items()}
    with disk_errors():
        save_file(tensors, out / WEIGHTS, metadata={"format": "pt"})
    (out / WEIGHTS).chmod(0o644)
    for name in TOKENIZER_FILES:  # where a server of adapters looks for it
        shutil.copyfile(tokenizer / name, out / name)
    return {"trained_parameters": sum(tensor.numel() for tensor in tensors.values())}


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
