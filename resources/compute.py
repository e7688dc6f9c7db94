"""The compute profile: how this machine computes, and what of that belongs to a fingerprint."""

import importlib.metadata
from typing import Any

from forge_dagster.training.execution import execution
from forge_dagster.training.precision import cpu_flags

COMPUTING_LIBRARIES = ("torch", "transformers", "trl", "accelerate", "tokenizers", "safetensors", "lm-eval")
DECISIVE_FLAGS = frozenset({"avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"})


def instruction_set() -> list[str]:
    """Processor flags that choose between kernels, and so between roundings."""
    return sorted(DECISIVE_FLAGS & cpu_flags())


def numerics() -> dict[str, Any]:
    """Dtype, threads, micro-batch, instruction set, library versions, ...; bit-equality holds within one value."""
    return {
        **execution().numerics,
        "instruction_set": instruction_set(),
        "world_size": 1,
        "libraries": {name: importlib.metadata.version(name) for name in COMPUTING_LIBRARIES},
    }
