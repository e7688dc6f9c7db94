"""Killed at every file event of a training: our trainer beside transformers.Trainer, judged by ckpt-chaos.

`python -m benchmarks crash_points [--points N]`; `python -m benchmarks.crash_points ours|theirs OUT` is one training.
A training that outlasts --timeout, by the clock on the wall, or was not killed where it should have been, is counted as
not judged: ckpt-chaos alone would call a machine that other work holds up a failed resume.
"""

import argparse
import contextlib
import os
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from forge_dagster.environment import close

NOT_JUDGED = "NOT_JUDGED"
VERDICTS = ("PASS", "HARD_FAIL", "SILENT_DIVERGENCE", "LOST_WORK", "CONTROL_FAIL", NOT_JUDGED)
POINTS = 400
TIMEOUT = 600
CHECKPOINTS = {"ours": "{out}/checkpoints/step-*", "theirs": "{out}/checkpoint-*"}
STEPS, SAVE_EVERY, ROWS, LENGTH, VOCABULARY = 12, 4, 4, 32, 300


def ours(out: Path) -> None:
    """Train a small mixture with the project's loop, from the newest checkpoint in `out` if there is one."""
    import numpy as np
    from safetensors.torch import save_file

    from forge_dagster.model.build import build_model
    from forge_dagster.recipe import ModelSpec
    from forge_dagster.stage import LocalContext
    from forge_dagster.tokens.reader import Documents
    from forge_dagster.training.execution import execution
    from forge_dagster.training.learner import Learner
    from forge_dagster.training.loop import pretrain
    from forge_dagster.training.settings import Settings

    class Context(LocalContext):
        def progress(self, done: int, total: int, text: str = "") -> None:
            if "going on after" in text:
                print(text, flush=True)

    tokens = np.random.default_rng(3).integers(5, VOCABULARY, ROWS * LENGTH * 4).astype(np.uint16)
    lengths = np.full(len(tokens) // LENGTH, LENGTH)
    documents = Documents(
        shards=(tokens,),
        shard=np.zeros_like(lengths),
        starts=np.arange(len(lengths)) * LENGTH,
        lengths=lengths,
        sizes=lengths,
        source=np.zeros_like(lengths),
        sources=("numbers",),
        vocab_size=VOCABULARY,
    )
    spec = ModelSpec(
        architecture="qwen3_moe", hidden_size=32, intermediate_size=48, layers=1, heads=2, kv_heads=1, head_dim=16,
        tie_embeddings=False, rope_theta=10_000.0, experts=4, experts_per_token=2,
    )  # fmt: skip
    settings = Settings(
        sequence_length=LENGTH, batch_tokens=ROWS * LENGTH, tokens=ROWS * LENGTH * STEPS, warmup_share=0.1,
        decay_share=0.4, muon_lr=0.02, embedding_lr=0.1, head_lr=0.02, norm_lr=0.01, router_lr=0.01,
        muon_momentum=0.9, weight_decay=0.0, clip_norm=1.0, spike_sigmas=6.0, rewind_steps=SAVE_EVERY,
        checkpoint_every_steps=SAVE_EVERY, validation_tokens=LENGTH,
    )  # fmt: skip
    model = build_model(spec, vocab_size=VOCABULARY, positions=LENGTH, seed=1)
    pretrain(
        Learner(model, documents, settings, replace(execution(), threads=1)),
        seed=1,
        identity={"seed": "1"},
        context=Context(work=out, beside=out, cache=out),
        validate=dict,
    )
    save_file({name: value.detach() for name, value in model.named_parameters()}, out / "final.safetensors")


def theirs(out: Path) -> None:
    """Train a small GPT-2 with transformers.Trainer, which picks the checkpoint to resume from itself."""
    import torch
    from safetensors.torch import save_file
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

    class Rows(torch.utils.data.Dataset[dict[str, Any]]):
        def __len__(self) -> int:
            return ROWS * STEPS

        def __getitem__(self, number: int) -> dict[str, Any]:
            row = torch.randint(0, VOCABULARY, (LENGTH,), generator=torch.Generator().manual_seed(number))
            return {"input_ids": row, "labels": row.clone()}

    class Tell(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step:
                print(f"going on after step {state.global_step}", flush=True)

    torch.manual_seed(1)
    model = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=32, n_layer=1, n_head=2))
    arguments = TrainingArguments(
        output_dir=str(out), max_steps=STEPS, save_steps=SAVE_EVERY, per_device_train_batch_size=ROWS, use_cpu=True,
        report_to=[], seed=1, data_seed=1, disable_tqdm=True,
    )  # fmt: skip
    trainer = Trainer(model=model, args=arguments, train_dataset=Rows(), callbacks=[Tell()])
    trainer.train(resume_from_checkpoint=any(out.glob("checkpoint-*")))
    save_file({name: value.detach().clone() for name, value in model.named_parameters()}, out / "final.safetensors")


def judged(trainer: str, work: Path, *, points: int, jobs: int, timeout: int = TIMEOUT) -> Counter[str]:
    """Run ckpt-chaos over one trainer; return how many crash points had which verdict. Raises RuntimeError."""
    from ckpt_chaos.byo import run_byo

    command = [sys.executable, "-W", "ignore", "-m", "benchmarks.crash_points", trainer, "{out}"]
    with contextlib.redirect_stdout(sys.stderr):
        rows = run_byo(
            command,
            None,
            work,
            jobs=jobs,
            timeout=timeout,
            max_points=points,
            result_file="{out}/final.safetensors",
            step_regex=r"going on after step (\d+)",
            checkpoint_glob=CHECKPOINTS[trainer],
        )
    # A name with a process id in it drifts, and the training is killed there all the same.
    missed = [(row.drift and not row.crashed) or row.outcome.raised == "Timeout" for row in rows]
    return Counter(NOT_JUDGED if miss else row.verdict for row, miss in zip(rows, missed, strict=True))


def main(*options: str) -> None:
    """Print how many crash points each trainer survives."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks crash_points", description=__doc__)
    parser.add_argument("--points", type=int, default=POINTS, help="most crash points of each trainer, evenly sampled")
    parser.add_argument("--jobs", type=int, default=1, help="trainings at one time")
    parser.add_argument("--timeout", type=int, default=TIMEOUT, help="most seconds of one training")
    given = parser.parse_args(options)
    os.environ.setdefault("FORGE_THREADS", "1")
    with tempfile.TemporaryDirectory() as folder:
        print(f"\nKilled at every file event of a training of {STEPS} steps, a checkpoint every {SAVE_EVERY}")
        print(f"{'':<24}{'points':>8}" + "".join(f"{verdict:>19}" for verdict in VERDICTS))
        for name, trainer in (("forge-dagster", "ours"), ("transformers.Trainer", "theirs")):
            work = Path(folder) / trainer
            counts = judged(trainer, work, points=given.points, jobs=given.jobs, timeout=given.timeout)
            cells = "".join(f"{counts[verdict]:>19}" for verdict in VERDICTS)
            print(f"{name:<24}{sum(counts.values()):>8}{cells}", flush=True)


if __name__ == "__main__":
    close()
    {"ours": ours, "theirs": theirs}[sys.argv[1]](Path(sys.argv[2]))
