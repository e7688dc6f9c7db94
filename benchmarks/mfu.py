"""Model FLOPs utilisation of the loop: what a step needs, against the best square matrix product of this machine.

`python -m benchmarks mfu [--rounds N] [--clock cpu]`. The peak is measured anew beside every step.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

from benchmarks import _training as shared

TARGETS = {"5M": 0.45, "50M": 0.60}
BATCH_TOKENS = 16_384
PEAK_SIZE = 2048


def _peak(dtype: str, clock: Callable[[], float]) -> float:
    import torch

    left = torch.ones(PEAK_SIZE, PEAK_SIZE, dtype=getattr(torch, dtype))
    best = 0.0
    for _ in range(4):
        begun = clock()
        torch.mm(left, left)
        best = max(best, 2 * PEAK_SIZE**3 / (clock() - begun))
    return best


def _utilisation(size: str, data: Path, rounds: int, clock: Callable[[], float]) -> list[tuple[float, float]]:
    """Return (utilisation, peak in operations a second) of each round."""
    from forge_dagster.model.build import build_model
    from forge_dagster.tokens.order import Order
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.cost import Cost
    from forge_dagster.training.execution import execution
    from forge_dagster.training.learner import Learner

    how, documents = execution(), open_documents(data, "train")
    settings = shared.settings(batch_tokens=BATCH_TOKENS)
    model = build_model(shared.spec(size), vocab_size=documents.vocab_size, positions=shared.LENGTH, seed=shared.SEED)
    learner, cost = Learner(model, documents, settings, how), Cost(model)
    order = Order(shared.SEED, documents.lengths, shared.LENGTH, settings.rows)
    found = []
    for step in range(rounds + 1):
        peak, rows = _peak(how.dtype, clock), order.batch(step)
        begun = clock()
        learner.gradients(rows)
        learner.update(1.0)
        found.append((cost.of(rows) / (clock() - begun) / peak, peak))
    return found[1:]


def main(*options: str) -> None:
    """Print utilisation at both sizes."""
    from forge_dagster.training.execution import execution
    from forge_dagster.training.precision import thread_limit, threads

    parser = argparse.ArgumentParser(prog="python -m benchmarks mfu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=sorted(shared.CLOCKS), default="wall", help=shared.CLOCK_HELP)
    given = parser.parse_args(options)
    print(f"\nMFU in {execution().dtype}, {threads()} threads, {BATCH_TOKENS} tokens a step, {given.clock} time")
    print(f"{'parameters':<12}{'peak GFLOP/s':>14}{'MFU':>8}{'target':>9}   (min..max)")
    with shared.token_shards(None) as data, thread_limit(threads()):
        for size, target in TARGETS.items():
            found = _utilisation(size, data, given.rounds, shared.CLOCKS[given.clock])
            shares = [share for share, _ in found]
            print(
                f"{size:<12}{max(peak for _, peak in found) / 1e9:>14.0f}{statistics.median(shares):>8.1%}"
                f"{target:>9.0%}   ({min(shares):.1%}..{max(shares):.1%})",
                flush=True,
            )
