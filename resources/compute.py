"""The compute profile: how this machine computes, and what of that belongs to a fingerprint."""

import importlib.metadata
from typing import Any

from forge_dagster.compute_profile import KubernetesProfile, profile
from forge_dagster.training.execution import execution
from forge_dagster.training.precision import cpu_flags

COMPUTING_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "tokenizers", "safetensors", "lm-eval")
DECISIVE_FLAGS = frozenset({"avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16"})


def instruction_set() -> list[str]:
    """Processor flags that choose between kernels, and so between roundings."""
    return sorted(DECISIVE_FLAGS & cpu_flags())


def numerics(*, parallel: bool = False, asset: str | None = None) -> dict[str, Any]:
    """Dtype, threads, micro-batch, instruction set, library versions, ...; bit-equality holds within one value.

    `parallel`: whether the stage may run as several processes. `asset`: what it makes; where the compute profile
    names a cluster, threads are those of its pod there, whoever asks from wherever.
    """
    found = profile()
    cores = found.pod(asset).cores if asset is not None and isinstance(found, KubernetesProfile) else None
    how = execution(parallel=parallel, cores=cores)
    libraries = COMPUTING_LIBRARIES if how.world_size == 1 else (*COMPUTING_LIBRARIES, "deepspeed")
    return {
        **how.numerics,
        "instruction_set": instruction_set(),
        "libraries": {name: importlib.metadata.version(name) for name in libraries},
    }
