"""A model as a plain Hugging Face folder: weights in safetensors, configuration, and the tokenizer beside them."""

import shutil
from pathlib import Path

from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

from forge_dagster.tokens.encoding import TOKENIZER_FILES
from forge_dagster.training.checkpoint import disk_errors


def write_model(model: PreTrainedModel, tokenizer: Path, out: Path) -> None:
    """Write config.json, generation_config.json, model.safetensors and the files of `tokenizer` into `out`.

    Raises OSError if the disk is full.
    """
    logging.disable_progress_bar()
    if hasattr(model.config, "output_router_logits"):
        model.config.output_router_logits = False  # a trainer may have asked for them; inference has no use for them
    with disk_errors():
        model.save_pretrained(out, max_shard_size="1000GB")  # one file, whatever the size
    (out / "model.safetensors").chmod(0o644)  # safetensors keeps it to its owner
    for name in TOKENIZER_FILES:
        shutil.copyfile(tokenizer / name, out / name)


def load_model(folder: Path) -> PreTrainedModel:
    """Load float32 weights from a local folder, in evaluation mode."""
    import torch

    logging.disable_progress_bar()
    return AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.float32,
        attn_implementation="sdpa",
        local_files_only=True,
    ).eval()
