"""Which number format and how many threads a training runs with; nothing heavy is imported to know it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from forge_dagster.errors import RecipeError

if TYPE_CHECKING:
    import torch

CPUINFO = Path("/proc/cpuinfo")
MOST_THREADS = 8

Dtype = Literal["bfloat16", "float32"]


def _first_processor(cpuinfo: Path) -> dict[str, str]:
    """What the system says of the first processor; empty where it does not tell."""
    if not cpuinfo.is_file():
        return {}
    first, *_ = cpuinfo.read_text(encoding="utf-8").split("\n\n", 1)
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def cpu_flags(cpuinfo: Path = CPUINFO) -> frozenset[str]:
    """Return the feature flags of the first processor; empty where the system does not tell."""
    return frozenset(_first_processor(cpuinfo).get("flags", "").split())


def effective_dtype(cpuinfo: Path = CPUINFO) -> Dtype:
    """Return the dtype of matrix products on this machine: bfloat16 where the processor is faster by it, else float32.

    It is by AMX, and by avx512_bf16 on AMD. Intel's avx512_bf16 without AMX takes twice as long for a product as
    float32 does (83 against 155 GFLOP/s on a Xeon of 2023 with AMX hidden; on AMD the same instruction takes half).
    Weights, optimizer state and loss are float32 either way.
    """
    flags = cpu_flags(cpuinfo)
    by_amd = "avx512_bf16" in flags and _first_processor(cpuinfo).get("vendor_id") == "AuthenticAMD"
    return "bfloat16" if by_amd or "amx_bf16" in flags else "float32"


def notice(dtype: Dtype) -> str:
    """Return what to tell about `dtype`; empty when there is nothing to tell."""
    if dtype == "bfloat16":
        return ""
    return "this processor has neither AMX nor AMD's avx512_bf16: training in float32"


def threads() -> int:
    """Return the number of compute threads: FORGE_THREADS, else the processors this process may use, at most 8.

    Raises RecipeError if FORGE_THREADS is not a positive number.
    """
    wish = os.environ.get("FORGE_THREADS")
    if wish is None:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(usable, MOST_THREADS)
    if not wish.isdecimal() or int(wish) < 1:
        raise RecipeError(
            f"FORGE_THREADS = {wish!r}", rule="a whole number from 1 on", mend="correct or unset the variable"
        )
    return int(wish)


@contextmanager
def thread_limit(count: int) -> Iterator[None]:
    """Let torch compute with `count` threads inside the block."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    _keep_freed_memory()
    try:
        yield
    finally:
        torch.set_num_threads(before)


def autocast(dtype: Dtype, device: str = "cpu") -> "torch.autocast":
    """Return the context of one forward pass in `dtype`.

    Enter it anew at every step: weights cast inside are cached until it is left, updates or not.
    """
    import torch

    return torch.autocast(device, dtype=torch.bfloat16, enabled=dtype == "bfloat16")


def _keep_freed_memory() -> None:
    """Let glibc keep what torch frees: it else returns every large tensor to the system and faults it in anew.

    Saves about a tenth of a training step on CPU; other C libraries go without.
    """
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        most_mmaps, trim_threshold = -4, -1  # M_MMAP_MAX, M_TRIM_THRESHOLD of malloc.h
        libc.mallopt(most_mmaps, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
