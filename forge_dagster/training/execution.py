"""How a training runs on this machine, told by FORGE_* variables and never by a recipe."""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from forge_dagster.compute_profile import load_profile, profile_file
from forge_dagster.errors import RecipeError
from forge_dagster.training.precision import Dtype, effective_dtype, threads

MICRO_BATCH_TOKENS = 4096
DEVICES = ("cpu", "cuda")
ZERO_STAGES = (1, 2, 3)


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
    processes: int
    """Processes of one host that train together."""
    hosts: int
    zero_stage: int
    """What DeepSpeed ZeRO shares out among processes: 1 optimizer state, 2 gradients too, 3 weights too; 0 alone."""

    @property
    def world_size(self) -> int:
        """Processes of all hosts."""
        return self.processes * self.hosts

    @property
    def numerics(self) -> dict[str, object]:
        """What of it changes bits."""
        return {
            "dtype": self.dtype,
            "threads": self.threads,
            "device": self.device,
            "micro_batch_tokens": self.micro_batch_tokens,
            "compiled": self.compiled,
            "world_size": self.world_size,
            "zero_stage": self.zero_stage,
        }

    def micro_rows(self, sequence_length: int) -> int:
        """Rows of one forward pass."""
        return max(self.micro_batch_tokens // sequence_length, 1)


def execution(
    environment: Mapping[str, str] = os.environ, *, parallel: bool = False, cores: int | None = None
) -> Execution:
    """Read FORGE_DEVICE, FORGE_MICRO_BATCH (tokens), FORGE_COMPILE and FORGE_RECOMPUTE (0 or 1), FORGE_THREADS.

    With `parallel`, for what may run as several processes, also how it is spread: by the `training` of the compute
    profile, whose processes share FORGE_THREADS, if there is one; else by FORGE_PROCESSES (of a host, 1 if not given),
    FORGE_HOSTS (1) and FORGE_ZERO (1). `cores`: those of a machine elsewhere that is to compute, in place of
    FORGE_THREADS. Raises RecipeError on a value that is none, and where a variable says other than the profile.
    """
    device = environment.get("FORGE_DEVICE", "cpu")
    if device not in DEVICES:
        raise _broken("FORGE_DEVICE", device, f"one of {', '.join(DEVICES)}")
    processes, hosts, stage = _spread(environment) if parallel else (1, 1, 1)
    # On a cluster the pod of a step is told the cores of the whole host.
    whole = cores or threads()
    alone = "FORGE_THREADS" in environment and profile_file(environment) is None
    return Execution(
        dtype="bfloat16" if device == "cuda" else effective_dtype(),
        threads=whole if alone else max(whole // processes, 1),
        device=device,
        micro_batch_tokens=_count("FORGE_MICRO_BATCH", MICRO_BATCH_TOKENS, environment),
        compiled=_flag("FORGE_COMPILE", environment),
        recompute=_flag("FORGE_RECOMPUTE", environment),
        processes=processes,
        hosts=hosts,
        zero_stage=stage if processes * hosts > 1 else 0,
    )


def _spread(environment: Mapping[str, str]) -> tuple[int, int, int]:
    """Processes of a host, hosts, and the stage of ZeRO."""
    stage = _count("FORGE_ZERO", 1, environment)
    if stage not in ZERO_STAGES:
        raise _broken("FORGE_ZERO", str(stage), f"one of {', '.join(map(str, ZERO_STAGES))}")
    path = profile_file(environment)
    if path is None:
        return _count("FORGE_PROCESSES", 1, environment), _count("FORGE_HOSTS", 1, environment), stage
    told = load_profile(path).training
    for name, key in (("FORGE_PROCESSES", "processes"), ("FORGE_HOSTS", "hosts"), ("FORGE_ZERO", "zero_stage")):
        value = getattr(told, key)
        if _count(name, value, environment) != value:
            raise RecipeError(
                f"{name} = {environment[name]!r}, but training.{key} = {value} in {path}",
                rule="where FORGE_COMPUTE names a compute profile, that alone says how a training is spread",
                mend=f"unset {name}, or change the profile",
            )
    return told.processes, told.hosts, told.zero_stage


def _count(name: str, without: int, environment: Mapping[str, str]) -> int:
    value = environment.get(name, str(without))
    if not value.isdecimal() or int(value) < 1:
        raise _broken(name, value, "a whole number from 1 on")
    return int(value)


def _flag(name: str, environment: Mapping[str, str]) -> bool:
    value = environment.get(name, "0")
    if value not in ("0", "1"):
        raise _broken(name, value, "0 or 1")
    return value == "1"


def _broken(name: str, value: str, rule: str) -> RecipeError:
    return RecipeError(f"{name} = {value!r}", rule=rule, mend="correct or unset the variable")
