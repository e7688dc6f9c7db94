"""Runs scripts/base_train.py of a karpathy/nanochat checkout on our token shards; nothing of it is copied here.

What is adapted, from outside. Modules that the script imports and that would bring its own data, tokenizer,
checkpoints, evaluation or a web service are stood in for: its loader yields our rows in our order, its checkpoint is
the moment the clock stops. torch.compile is off, as in our loop; attention is what nanochat falls back to on a CPU; its
40 steps of warm-up are a tenth of the steps where that is less. Model, initial weights, optimizer, learning rates,
schedules and loop are nanochat's own.
"""

import io
import logging
import os
import runpy
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

from benchmarks import _training as shared

REPOSITORY = "https://github.com/karpathy/nanochat"
COMMIT = "92d63d4e8bb4df75c3b71618f31ddde2378b2bcd"
DEPTH, HEAD = 4, 64
"""nanochat has one dial, the depth; its width is 64 times that. At 4 it is nearest to 5 million parameters."""
REFERENCE_BATCH = 2**19
RATES = {"matrix-lr": 0.02, "embedding-lr": 0.3, "unembedding-lr": 0.008, "scalar-lr": 0.5}
"""The script's learning rates, which it lowers by the root of its batch over the reference."""
WARMUP_STEPS = 40
MICRO_BATCH_TOKENS = 4096
TRIAL_STEPS, FIRST_STEPS = 14, 2
IGNORED = -1

Found = TypeVar("Found")
Much = TypeVar("Much", int, float)


@dataclass(frozen=True)
class Run:
    """One training to be done; without `lowered` the learning rates are those of the reference batch."""

    checkout: Path
    data: Path
    batch_tokens: int
    lowered: bool
    clock: str
    test_tokens: int


@dataclass(frozen=True)
class Trained:
    """How a training went."""

    parameters: int
    steps: int
    seconds: float
    bits_per_byte: float


def pace(run: Run) -> float:
    """Seconds of a step, the first ones left out."""
    times = in_its_own_process(_times, run, TRIAL_STEPS)
    return (times[TRIAL_STEPS] - times[FIRST_STEPS]) / (TRIAL_STEPS - FIRST_STEPS)


def train(run: Run, steps: int) -> Trained:
    """Train and score."""
    return in_its_own_process(_train, run, steps)


def in_its_own_process(work: Callable[[Run, Much], Found], run: Run, much: Much) -> Found:
    """Do that much work in a process: the script changes the one it runs in, and the clock counts one alone."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work, run, much).result()


def _times(run: Run, steps: int) -> list[float]:
    return _script(run, steps)[1]


def _train(run: Run, steps: int) -> Trained:
    model, times = _script(run, steps)
    bits = shared.bits_per_byte(run.data, run.test_tokens, lambda inputs, labels: _nats(model, inputs, labels))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Trained(parameters, steps, times[-1] - times[0], bits)


def _script(run: Run, steps: int) -> tuple[Any, list[float]]:
    """Run the script; return its model, and when it asked for the first batch of each step and when it ended."""
    from forge_dagster.training.precision import effective_dtype, thread_limit, threads

    os.environ.update(NANOCHAT_DTYPE=effective_dtype(), TORCHDYNAMO_DISABLE="1", CUDA_VISIBLE_DEVICES="")
    logging.disable(logging.INFO)
    times: list[float] = []
    clock = shared.CLOCKS[run.clock]
    sys.path.insert(0, str(run.checkout))
    for name, contents in _stand_ins(run, steps, lambda: times.append(clock())).items():
        sys.modules[name] = module = ModuleType(name)
        module.__dict__.update(contents)
    script = run.checkout / "scripts" / "base_train.py"
    sys.argv = [str(script), *_options(run, steps)]
    with thread_limit(threads()), redirect_stdout(io.StringIO()):
        return runpy.run_path(str(script), run_name="__main__")["orig_model"], times


def _options(run: Run, steps: int) -> list[str]:
    raised = 1.0 if run.lowered else (REFERENCE_BATCH / run.batch_tokens) ** 0.5
    options = {
        "device-type": "cpu", "depth": DEPTH, "head-dim": HEAD, "max-seq-len": shared.LENGTH, "window-pattern": "L",
        "device-batch-size": min(run.batch_tokens, MICRO_BATCH_TOKENS) // shared.LENGTH,
        "total-batch-size": run.batch_tokens, "num-iterations": steps,
        "warmup-steps": max(min(WARMUP_STEPS, steps // 10), 1),
        "eval-every": -1, "core-metric-every": -1, "sample-every": -1,
        **{name: rate * raised for name, rate in RATES.items()},
    }  # fmt: skip
    return [f"--{name}={value}" for name, value in options.items()]


def _stand_ins(run: Run, steps: int, tick: Callable[[], None]) -> dict[str, dict[str, Any]]:
    """Modules by name, each with what the script takes from it."""

    def loader(_: object, rows: int, *__: object, **___: object) -> Iterator[tuple[Any, Any, dict[str, int]]]:
        for first, inputs, labels in _batches(run, rows, steps):
            if first:
                tick()
            yield inputs, labels, {"epoch": 1, "pq_idx": 0, "rg_idx": 0}

    nothing: Callable[..., None] = lambda *_, **__: None  # noqa: E731
    words = SimpleNamespace(get_vocab_size=lambda: shared.VOCABULARY)
    return {
        "wandb": {},
        "nanochat.tokenizer": {"get_tokenizer": lambda: words, "get_token_bytes": nothing},
        "nanochat.dataloader": {
            "tokenizing_distributed_data_loader_with_state_bos_bestfit": loader,
            "tokenizing_distributed_data_loader_bos_bestfit": nothing,
        },
        "nanochat.checkpoint_manager": {"save_checkpoint": lambda *_, **__: tick(), "load_checkpoint": nothing},
        "nanochat.engine": {"Engine": nothing},
        "scripts.base_eval": {"evaluate_core": nothing},
    }


def _batches(run: Run, rows: int, steps: int) -> Iterator[tuple[bool, Any, Any]]:
    """What our loop reads, `rows` rows at a time, the first of a step marked; the script asks for one too many."""
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.batches import IGNORED as OURS
    from forge_dagster.training.batches import pack
    from forge_dagster.training.order import order_of

    documents = open_documents(run.data, "train")
    settings = shared.settings(batch_tokens=run.batch_tokens, tokens=(steps + 1) * run.batch_tokens)
    order = order_of(documents, settings, shared.SEED)
    for step in range(steps + 1):
        batch = order.batch(step)
        for begin in range(0, len(batch), rows):
            part = pack(documents, batch[begin : begin + rows], shared.LENGTH)
            yield not begin, part.inputs, part.labels.masked_fill(part.labels == OURS, IGNORED)


def _nats(model: Any, inputs: Any, labels: Any) -> float:
    from forge_dagster.training.batches import IGNORED as OURS

    return float(model(inputs, labels.masked_fill(labels == OURS, IGNORED), loss_reduction="sum"))
