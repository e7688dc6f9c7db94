"""Validation bits per byte after the same time: the project's loop, and AdamW in transformers.Trainer at three rates.

`python -m benchmarks learning [--seconds 300] [--documents FOLDER] [--clock cpu]`. Each trains a model of about 5
million parameters in bf16 for as many steps as its speed, measured first, allows; schedules end with the time.
Nothing is tuned here: our settings are those of recipes/tiny-dense.yaml, the peer gets the best of its rates.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import _training as shared

SECONDS = 300
RATES = (3e-4, 1e-3, 3e-3)
TARGET = 0.25
TRIAL_STEPS = 4
ROWS = shared.BATCH_TOKENS // shared.LENGTH


def _score(model: Any, data: Path) -> float:
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.precision import effective_dtype
    from forge_dagster.training.validation import score_sources, together

    held_out = open_documents(data, "validation")
    scores = score_sources(model, held_out, most_tokens=200_000, dtype=effective_dtype(), window=shared.LENGTH)
    return together(scores.values()).bits_per_byte


def _theirs(data: Path, steps: int, rate: float) -> Any:
    from transformers import AutoModelForCausalLM, set_seed

    from forge_dagster.model.build import configure
    from forge_dagster.training.precision import effective_dtype

    set_seed(shared.SEED)
    config = configure(shared.spec("5M"), vocab_size=shared.VOCABULARY, positions=shared.LENGTH)
    model = AutoModelForCausalLM.from_config(config)
    with tempfile.TemporaryDirectory() as folder:
        shared.trainer(
            model, Path(folder), data, steps=steps, rows=ROWS, learning_rate=rate, warmup_steps=steps // 50,
            seed=shared.SEED, bf16=effective_dtype() == "bfloat16",
        ).train()  # fmt: skip
    return model


def _steps_in(seconds: float, train: Callable[[int], Any], clock: Callable[[], float]) -> int:
    return shared.steps_in(seconds, lambda steps: shared.seconds_of(lambda: train(steps), clock), trial=TRIAL_STEPS)


def main(*options: str) -> None:
    """Print bits per byte of each trainer and how much lower ours are."""
    from forge_dagster.training.precision import thread_limit, threads

    parser = argparse.ArgumentParser(prog="python -m benchmarks learning", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="training time of each")
    parser.add_argument(
        "--documents", type=Path, help="folder of .txt, .md and .html files; a sample company if not given"
    )
    parser.add_argument("--clock", choices=sorted(shared.CLOCKS), default="wall", help=shared.CLOCK_HELP)
    given = parser.parse_args(options)
    clock = shared.CLOCKS[given.clock]
    with shared.token_shards(given.documents) as data, thread_limit(threads()):
        print(
            f"\nBits per byte after {given.seconds:.0f} s of {given.clock} time, {threads()} threads; target {TARGET}"
        )
        print(f"{'':<34}{'steps':>8}{'bits/byte':>12}{'ours lower by':>15}")
        steps = _steps_in(given.seconds, lambda count: shared.ours(data, count), clock)
        ours = _score(shared.ours(data, steps), data)
        print(f"{'forge-dagster, Muon and AdamW':<34}{steps:>8}{ours:>12.3f}", flush=True)
        steps = _steps_in(given.seconds, lambda count: _theirs(data, count, RATES[0]), clock)
        for rate in RATES:
            theirs = _score(_theirs(data, steps, rate), data)
            name = f"transformers.Trainer, AdamW {rate:g}"
            print(f"{name:<34}{steps:>8}{theirs:>12.3f}{theirs - ours:>15.3f}", flush=True)
