"""How a training runs on this machine, told by FORGE_* variables and never by a recipe."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from forge_dagster.errors import RecipeError
from forge_dagster.training.precision import Dtype, effective_dtype, threads

MICRO_BATCH_TOKENS = 4096
DEVICES = ("cpu", "cuda")


@dataclass(frozen=True)
class Execution:
    """One way to run; all but `recompute` changes the rounding of sums and belongs to numerics."""

    dtype: Dtype
    threads: int
    device: str
    micro_batch_tokens: int
    """Most tokens of one forward pass; a batch larger than that is accumulated."""
    compiled: bool
    """Whether torch.compile makes the forward and backward passes."""
    recompute: bool
    """Whether activations are computed again in the backward pass instead of kept; slower, less memory, equal bits."""

    @property
    def numerics(self) -> dict[str, object]:
        """What of it changes bits."""
        return {
            "dtype": self.dtype,
            "threads": self.threads,
            "device": self.device,
            "micro_batch_tokens": self.micro_batch_tokens,
            "compiled": self.compiled,
        }

    def micro_rows(self, sequence_length: int) -> int:
        """Rows of one forward pass."""
        return max(self.micro_batch_tokens // sequence_length, 1)


def execution(environment: Mapping[str, str] = os.environ) -> Execution:
    """Read FORGE_DEVICE, FORGE_MICRO_BATCH (tokens), FORGE_COMPILE and FORGE_RECOMPUTE (0 or 1), FORGE_THREADS.

    Raises RecipeError on a value that is none.
    """
    device = environment.get("FORGE_DEVICE", "cpu")
    if device not in DEVICES:
        raise _broken("FORGE_DEVICE", device, f"one of {', '.join(DEVICES)}")
    tokens = environment.get("FORGE_MICRO_BATCH", str(MICRO_BATCH_TOKENS))
    if not tokens.isdecimal() or int(tokens) < 1:
        raise _broken("FORGE_MICRO_BATCH", tokens, "a whole number of tokens from 1 on")
    return Execution(
        dtype="bfloat16" if device == "cuda" else effective_dtype(),
        threads=threads(),
        device=device,
        micro_batch_tokens=int(tokens),
        compiled=_flag("FORGE_COMPILE", environment),
        recompute=_flag("FORGE_RECOMPUTE", environment),
    )


def _flag(name: str, environment: Mapping[str, str]) -> bool:
    value = environment.get(name, "0")
    if value not in ("0", "1"):
        raise _broken(name, value, "0 or 1")
    return value == "1"


def _broken(name: str, value: str, rule: str) -> RecipeError:
    return RecipeError(f"{name} = {value!r}", rule=rule, mend="correct or unset the variable")
