"""Tokens a second of the project's loop against transformers.Trainer, on the same model, tokens and processor.

`python -m benchmarks throughput [--size 5M] [--rounds N] [--clock cpu]`
"""

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import _training as shared

TARGET = 1.8
STEPS = 3
TRAINERS_ROWS = 8  # per_device_train_batch_size of TrainingArguments


def _our_speed(size: str, data: Path, clock: Callable[[], float]) -> float:
    """Tokens a second of full steps: packed batches, gradients, clipping, Muon and AdamW."""
    from forge_dagster.model.build import build_model
    from forge_dagster.tokens.order import Order
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.execution import execution
    from forge_dagster.training.learner import Learner

    documents, settings = open_documents(data, "train"), shared.settings()
    model = build_model(shared.spec(size), vocab_size=documents.vocab_size, positions=shared.LENGTH, seed=shared.SEED)
    learner = Learner(model, documents, settings, execution())
    order = Order(shared.SEED, documents.lengths, shared.LENGTH, settings.rows)
    for step in range(STEPS + 1):
        if step == 1:
            begun = clock()
        learner.gradients(order.batch(step))
        learner.update(1.0)
    return STEPS * settings.batch_tokens / (clock() - begun)


def _their_speed(size: str, data: Path, clock: Callable[[], float], **arguments: Any) -> float:
    """Tokens a second of Trainer between the ends of its first and its last step."""
    from transformers import AutoModelForCausalLM, TrainerCallback

    from forge_dagster.model.build import configure

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            ends.append(clock())

    steps = STEPS * shared.BATCH_TOKENS // (TRAINERS_ROWS * shared.LENGTH) + 1
    config = configure(shared.spec(size), vocab_size=shared.VOCABULARY, positions=shared.LENGTH)
    with tempfile.TemporaryDirectory() as folder:
        model = AutoModelForCausalLM.from_config(config)
        trainer = shared.trainer(model, Path(folder), data, steps=steps, rows=TRAINERS_ROWS, **arguments)
        trainer.add_callback(Clock())
        trainer.train()
    return (len(ends) - 1) * TRAINERS_ROWS * shared.LENGTH / (ends[-1] - ends[0])


def main(*options: str) -> None:
    """Print the ratio to Trainer at its defaults, and to Trainer told to use bf16."""
    from forge_dagster.training.precision import thread_limit, threads

    parser = argparse.ArgumentParser(prog="python -m benchmarks throughput", description=__doc__)
    parser.add_argument("--size", choices=sorted(shared.SHAPES), default="5M")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=sorted(shared.CLOCKS), default="wall", help=shared.CLOCK_HELP)
    given = parser.parse_args(options)
    clock = shared.CLOCKS[given.clock]
    peers: dict[str, dict[str, Any]] = {"at its defaults": {}, "with bf16=True": {"bf16": True}}
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in peers}
    with shared.token_shards(None) as data, thread_limit(threads()):
        for _ in range(given.rounds):
            ours.append(_our_speed(given.size, data, clock))
            for name, arguments in peers.items():
                theirs[name].append(_their_speed(given.size, data, clock, **arguments))
    print(f"\nTokens a second, {given.size} parameters, {threads()} threads, {given.clock} time; target {TARGET}")
    print(f"{'transformers.Trainer':<24}{'ours':>10}{'theirs':>10}{'ratio':>9}   (min..max)")
    for name, speeds in theirs.items():
        ratios = [a / b for a, b in zip(ours, speeds, strict=True)]
        print(
            f"{name:<24}{statistics.median(ours):>10,.0f}{statistics.median(speeds):>10,.0f}"
            f"{statistics.median(ratios):>9.2f}   ({min(ratios):.2f}..{max(ratios):.2f})"
        )
