"""What a pre-training needs, by arithmetic: parameters, memory, traffic, time, checkpoints; every formula has a source.

Bytes are of one process (one GPU) unless said otherwise. `tests/benchmarks/test_plan.py` holds them against models,
optimizers and checkpoints that are made.
"""

from dataclasses import dataclass

from forge_dagster.model import size
from forge_dagster.model.size import MOMENT, Parameters, parameters
from forge_dagster.recipe import ModelSpec
from forge_dagster.training.checkpoint import KEEP, MOST_TIME_SAVING

WEIGHT = GRADIENT = MASTER = MOMENT
"""Bytes a number: the loop keeps all in float32 and computes in bfloat16 by autocast."""
HALF = 2
ZERO_PAPER = (2, 2, 12)
"""Bytes a parameter of bf16 weights, bf16 gradients, and Adam's float32 state with master weights (Rajbhandari et al.
2020, ZeRO, section 3.1)."""
CHINCHILLA = 20
"""Tokens a parameter that is used (Hoffmann et al. 2022, table 3)."""


@dataclass(frozen=True)
class Machine:
    """GPUs that train together."""

    gpus: int
    memory: float
    """Bytes."""
    peak: float
    """Operations a second of dense bfloat16 products, by the maker."""
    efficiency: float
    """Share of the peak that the products of a step reach where nothing is waited for: 0.55, an assumption. Llama 3
    report 38 to 43 % with all waiting (Dubey et al. 2024, table 4), PaLM 46 % (Chowdhery et al. 2022, table 3)."""
    network: float
    """Bytes a second that one GPU sends to other hosts while it receives as much."""
    disk: float
    """Bytes a second that one process writes to FORGE_HOME."""


@dataclass(frozen=True)
class Batch:
    """One step."""

    tokens: int
    sequence: int
    micro_tokens: int
    """Of one forward pass of one process."""

    def passes(self, world: int) -> int:
        """Forward passes of one process in a step."""
        return max(self.tokens // world // self.micro_tokens, 1)


def operations(spec: ModelSpec, vocabulary: int, batch: Batch) -> int:
    """Of one step."""
    return size.operations(spec, vocabulary, batch.tokens, batch.sequence)


def state(counts: Parameters, stage: int, world: int) -> float:
    """Bytes of weights, gradients and optimizer state (ZeRO, figure 1, with this loop's formats).

    DeepSpeed keeps float32 master weights beside the model's even where that is float32 too.
    """
    weights, gradients = WEIGHT * counts.total, GRADIENT * counts.total
    optimizer = MASTER * counts.total + counts.moments
    return weights / (world if stage == 3 else 1) + gradients / (world if stage >= 2 else 1) + optimizer / world


def state_of_the_paper(counts: Parameters, stage: int, world: int) -> float:
    """The same in the paper's formats, bf16 with Adam."""
    weights, gradients, optimizer = (each * counts.total for each in ZERO_PAPER)
    return weights / (world if stage == 3 else 1) + gradients / (world if stage >= 2 else 1) + optimizer / world


def activations(spec: ModelSpec, batch: Batch) -> float:
    """Bytes of one pass with recomputation (FORGE_RECOMPUTE=1): inputs of all layers, and all of one layer.

    2 s b h a layer is kept, 34 s b h are those of a layer with attention in tiles (Korthikanti et al. 2022, sections
    4.1 and 5): 18 beside the MLP, and 16 of an MLP of 4 h, which this one's width takes the place of. The head's logits
    exist in pieces (loss.py).
    """
    kept = HALF * batch.micro_tokens * spec.hidden_size
    width = (spec.experts_per_token or 1) * 3 * spec.intermediate_size
    layer = batch.micro_tokens * (18 * spec.hidden_size + HALF * 2 * width)
    return kept * spec.layers + layer


def traffic(counts: Parameters, stage: int, world: int, passes: int) -> float:
    """Bytes that a process sends in a step (ZeRO, section 7), and as many that it receives.

    Stages 1 and 2 scatter gradients and gather weights; 2 scatters at every pass. Stage 3 gathers weights forward and
    backward, and scatters gradients, at every pass. Muon adds what it needs to see whole matrices: the gradients of all
    hidden ones gathered in stages 1 and 2, two exchanges of this process's own part in stage 3.
    """
    share = (world - 1) / world
    weights, gradients, hidden = WEIGHT * counts.total, GRADIENT * counts.total, GRADIENT * counts.muon
    if stage == 3:
        return share * (passes * (2 * weights + gradients) + 2 * hidden / world)
    return share * ((passes if stage == 2 else 1) * gradients + weights + hidden)


def seconds(spec: ModelSpec, vocabulary: int, batch: Batch, machine: Machine, stage: int) -> float:
    """Of one step; the loop does not overlap traffic with computing, and every ring crosses hosts."""
    counts, world = parameters(spec, vocabulary), machine.gpus
    computing = operations(spec, vocabulary, batch) / (world * machine.peak * machine.efficiency)
    return computing + traffic(counts, stage, world, batch.passes(world)) / machine.network


def mfu(spec: ModelSpec, vocabulary: int, batch: Batch, machine: Machine, stage: int) -> float:
    """Share of the peak that the step's operations are (PaLM, appendix B)."""
    spent = seconds(spec, vocabulary, batch, machine, stage)
    return operations(spec, vocabulary, batch) / (machine.gpus * machine.peak * spent)


def checkpoint(counts: Parameters) -> int:
    """Bytes of one checkpoint: float32 weights and the optimizer's moments; the first process gathers and writes it."""
    return WEIGHT * counts.total + counts.moments


def gathered(spec: ModelSpec, vocabulary: int, stage: int, world: int) -> float:
    """Most bytes that a process holds for a moment beside its state, for Muon or a checkpoint (sharded.py).

    A group is all parameters of one kind and shape. In stages 1 and 2 it is gathered whole; in stage 3 parameters are
    gathered one by one for a checkpoint, and four times its part of a group is exchanged for Muon.
    """
    matrix = spec.hidden_size * spec.intermediate_size
    largest = max(2 * matrix * spec.experts if spec.experts else matrix, vocabulary * spec.hidden_size)
    group = 2 * matrix * (spec.experts or 1) * spec.layers
    return MOMENT * (max(largest, 4 * group / world) if stage == 3 else max(largest, group))


def room(counts: Parameters) -> int:
    """Bytes that checkpoints take on the disk at once: the newest, those to go back to, and the one in the making."""
    return (KEEP + 2 + 1) * checkpoint(counts)


def seconds_between(counts: Parameters, machine: Machine) -> float:
    """The least time between two checkpoints, by the share of the time that the loop gives them."""
    return checkpoint(counts) / machine.disk / MOST_TIME_SAVING
