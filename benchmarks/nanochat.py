"""Validation bits per byte after the same time: the project's model and loop, and those of karpathy/nanochat.

`python -m benchmarks nanochat FOLDER [--seconds 300] [--documents FOLDER] [--clock cpu [--jobs 2]] [--tuning]
[--lowered]`. FOLDER is a checkout of nanochat (or FORGE_BENCH_NANOCHAT); nothing of it is in this repository. nanochat
gets the best of three batch sizes, at its learning rates as they stand: its script lowers them for batches this small,
which costs it much (--lowered shows it). Ours is saved, opened by AutoModelForCausalLM and scored by its logits; both
read the same tokens and are scored on the same windows. Of `OURS`, schedule and rates of embeddings and norms were
chosen on the split of --tuning by trainings of 60 s. Batch, layers and the rate of matrices were set from a profile of
a step after a first test, at 1,024 tokens, had missed the target; they were tried on the split of --tuning once, for
300 s, against no other choice.
"""

import argparse
import os
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import _nanochat as peer
from benchmarks import _training as shared

SECONDS = 300
TARGET = 0.05
BATCHES = (1024, 2048, 4096)
TRIAL_STEPS = 12
OVERRUN = 1.02
OURS: dict[str, Any] = {
    "size": "4M",
    "batch_tokens": 2048,
    "decay_share": 0.98,
    "muon_lr": 0.02,
    "embedding_lr": 0.2,
    "norm_lr": 0.03,
}
"""What differs from learning.py: four layers, so that more tokens are read in the time; a smaller batch, yet not so
small that orthogonalising takes over a third of a step, as at 1,024; steps that shrink from the start on, larger ones
for embeddings and norms."""


def _nats(model: Any, inputs: Any, labels: Any) -> float:
    import torch

    from forge_dagster.training.batches import IGNORED
    from forge_dagster.training.precision import autocast, effective_dtype

    with autocast(effective_dtype()):
        logits = model(input_ids=inputs).logits
    return float(
        torch.nn.functional.cross_entropy(
            logits.float().flatten(0, 1), labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )
    )


def _ours(run: peer.Run, seconds: float) -> peer.Trained:
    from transformers import AutoModelForCausalLM

    from forge_dagster.training.precision import thread_limit, threads

    clock = shared.CLOCKS[run.clock]

    def took(steps: int) -> float:
        return shared.seconds_of(lambda: shared.ours(run.data, steps, **OURS), clock)

    with thread_limit(threads()), tempfile.TemporaryDirectory() as folder:
        steps = shared.steps_in(seconds, took, trial=TRIAL_STEPS)
        begun = clock()
        model = shared.ours(run.data, steps, **OURS)
        ended = clock()
        model.save_pretrained(folder)
        opened = AutoModelForCausalLM.from_pretrained(folder, local_files_only=True).eval()
        bits = shared.bits_per_byte(run.data, run.test_tokens, lambda inputs, labels: _nats(opened, inputs, labels))
    return peer.Trained(opened.num_parameters(), steps, ended - begun, bits)


def _theirs(run: peer.Run, seconds: float) -> peer.Trained:
    return peer.train(run, max(int(seconds / peer.pace(run)), 1))


def _row(name: str, batch_tokens: int, found: peer.Trained, lower: str) -> None:
    tokens = found.steps * batch_tokens
    print(
        f"{name:<34}{found.parameters / 1e6:>7.2f}{batch_tokens:>7}{tokens:>11,}{tokens / found.seconds:>10,.0f}"
        f"{found.seconds:>8.0f}{found.bits_per_byte:>11.3f}{lower:>10}",
        flush=True,
    )


def main(*options: str) -> None:
    """Print bits per byte of each and how much lower ours are, or say what to clone."""
    from forge_dagster.training.precision import threads

    parser = argparse.ArgumentParser(prog="python -m benchmarks nanochat", description=__doc__)
    parser.add_argument("checkout", nargs="?", type=Path, default=os.environ.get("FORGE_BENCH_NANOCHAT"))
    parser.add_argument("--seconds", type=float, default=SECONDS, help="training time of each")
    parser.add_argument(
        "--documents", type=Path, help="folder of .txt, .md and .html files; a sample company if not given"
    )
    parser.add_argument("--clock", choices=sorted(shared.CLOCKS), default="wall", help=shared.CLOCK_HELP)
    parser.add_argument("--jobs", type=int, default=1, help="trainings at one time; set FORGE_THREADS=1 with it")
    parser.add_argument("--test-tokens", type=int, default=shared.TEST_TOKENS, help="most tokens of held-out text")
    parser.add_argument("--lowered", action="store_true", help="let nanochat's script lower its rates for the batch")
    parser.add_argument("--tuning", action="store_true", help="hold out other documents than the test documents")
    parser.add_argument("--batches", type=int, nargs="+", default=BATCHES, help="nanochat's batch sizes, in tokens")
    given = parser.parse_args(options)
    if given.jobs > 1 and given.clock == "wall":
        parser.error(f"--jobs {given.jobs} shares the cores, and the clock on the wall counts that; add --clock cpu")
    if given.checkout is None or not (given.checkout / "scripts" / "base_train.py").is_file():
        print(
            f"\nAgainst nanochat: not run, {given.checkout} is no checkout of it. git clone {peer.REPOSITORY} FOLDER; "
            f"git -C FOLDER checkout {peer.COMMIT}; then python -m benchmarks nanochat FOLDER"
        )
        return
    told = ["git", "-C", str(given.checkout), "rev-parse", "HEAD"]
    commit = subprocess.run(told, capture_output=True, text=True, check=True).stdout.strip()
    with shared.token_shards(given.documents, tuning=given.tuning) as data, ThreadPoolExecutor(given.jobs) as pool:
        print(
            f"\nBits per byte after {given.seconds:.0f} s of {given.clock} time, {threads()} threads; target {TARGET}"
        )
        print(f"nanochat at {commit}; documents held out for {'tuning' if given.tuning else 'the test'}")
        print(
            f"{'':<34}{'M par.':>7}{'batch':>7}{'tokens':>11}{'tokens/s':>10}{'s':>8}{'bits/byte':>11}{'ours less':>10}"
        )
        runs = [
            peer.Run(
                checkout=given.checkout.resolve(),
                data=data,
                batch_tokens=batch_tokens,
                lowered=given.lowered,
                clock=given.clock,
                test_tokens=given.test_tokens,
            )
            for batch_tokens in (OURS["batch_tokens"], *given.batches)
        ]
        first = pool.submit(peer.in_its_own_process, _ours, runs[0], given.seconds)
        others = [pool.submit(_theirs, run, given.seconds) for run in runs[1:]]
        ours = first.result()
        _row("forge-dagster", OURS["batch_tokens"], ours, "")
        best = float("inf")
        for run, theirs in zip(runs[1:], (other.result() for other in others), strict=True):
            best = min(best, theirs.bits_per_byte)
            _row("nanochat", run.batch_tokens, theirs, f"{theirs.bits_per_byte - ours.bits_per_byte:.3f}")
        print(f"ours less than nanochat's best: {best - ours.bits_per_byte:.3f}")
        if ours.seconds > OVERRUN * given.seconds:
            print(f"ours took {ours.seconds:.0f} s of {given.seconds:.0f}: steps grew dearer after their trial")
