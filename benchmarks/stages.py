"""Throughput of the stages of post-training against TRL's own trainers called bare; generation in batches.

`python -m benchmarks stages [--stages S ...] [--rounds N] [--steps N] [--clock wall|cpu]`: both train the same model on
the same rows with the same arguments, in turn. Bare is the trainer's class and `train()`; ours resumes, reports
progress, watches for a stop and writes its log. Counted from the end of the first step to the end of the last. Where a
stage has a trainer of its own, bare is the one of TRL that comes nearest: DPO without an offset, and GKD (Agarwal et
al. 2024) off-policy with the forward KL divergence.
"""

import argparse
import dataclasses
import statistics
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import _training as shared
from benchmarks._table import show
from forge_dagster.chain import stage_module
from forge_dagster.pairs import policy_items
from forge_dagster.recipe import TokenizerSpec, load_recipe
from forge_dagster.sample.generate import generate
from forge_dagster.stage import local_context
from forge_dagster.training.job import TrainingJob

POSITIONS = 256
PEER = "TRL"
SIZE = {"learning_rate": 1e-4, "warmup_share": 0.0, "batch_size": 16, "max_length": 160}
VOWEL = r"[\s\S]*[aeiou]\W*"
"""A form that answers of a model without training have now and then."""
TAKES = ("learning_rate", "warmup_share", "prompts", "generations", "max_new_tokens", "temperature", "beta", "stop")


def settings(stage: str, steps: int) -> dict[str, Any]:
    """Settings of a stage for so many steps of the rows that `company` makes; RL as in recipes/tiny-dense.yaml."""
    of_rl = next(entry.settings for entry in load_recipe(shared.RECIPE).stages if entry.stage == "rl")
    pairs = {**SIZE, "epochs": 1, "beta": 0.1}
    sampled: dict[str, Any] = {key: of_rl[key] for key in TAKES}
    sampled |= {"steps": max(steps // 4, 2), "answer_form": VOWEL, "policy_share": 0.0}
    answered = {**SIZE, "epochs": 1, "answer_template": "Answer: {answer}.", "packing": False}
    every: dict[str, dict[str, Any]] = {
        "sft": answered,
        "distill": {**answered, "teacher": "wide/sft", "temperature": 1.0, "hard_share": 0.0},
        "preference": {**pairs, "sft_weight": 1.0},
        "preference_offset": {**pairs, "sft_weight": 1.0, "answer_form": VOWEL, "offset": 1.0},
        "preference_online": {key: sampled[key] for key in sampled if key not in ("generations", "stop")},
        "kto": pairs,
        "reward_model": {**SIZE, "epochs": 1},
        "rl": sampled,
        "rloo": sampled,
    }
    return every[stage]


STAGES = ("sft", "distill", "preference", "preference_offset", "preference_online", "kto", "reward_model", "rl", "rloo")
GENERATION = "generation"


def peer(trainer: type) -> Callable[..., Any]:
    """TRL's own trainer for one of the stages; a trainer of ours has the nearest one."""
    from trl import DPOTrainer

    from forge_dagster.training.distillation import DistillationTrainer
    from forge_dagster.training.offset_dpo import OffsetDPOTrainer

    ours: dict[type, Callable[..., Any]] = {OffsetDPOTrainer: DPOTrainer, DistillationTrainer: _gkd}
    return ours.get(trainer, trainer)


def _gkd(*, args: Any, teacher: Any, temperature: float, hard_share: float, **options: Any) -> Any:
    from trl.experimental.gkd import GKDConfig, GKDTrainer
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    assert hard_share == 0, "GKD has no loss on the answers themselves"
    given = {field.name: getattr(args, field.name) for field in dataclasses.fields(args) if field.init}
    options["data_collator"] = DataCollatorForLanguageModeling(pad_token_id=options["processing_class"].pad_token_id)
    return GKDTrainer(
        args=GKDConfig(**given | {"lmbda": 0.0, "beta": 0.0, "temperature": temperature}),
        teacher_model=teacher,
        **options,
    )


@contextmanager
def company(steps: int) -> Iterator[dict[str, Path]]:
    """Folders that the stages read: a tokenizer of a sample company, a model as tiny-dense, rows for so many steps."""
    from forge_dagster.model.build import build_model
    from forge_dagster.model.folder import write_model
    from forge_dagster.tokens import tokenizer

    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        generate(400, shared.SEED, root / "sample")
        texts = [path.read_text() for path in sorted((root / "sample" / "documents").rglob("*.md"))]
        names = ("corpus", "tokenizer", "previous", "instructions", "preferences", "policy_items", "teacher")
        folders = {each: root / each for each in names}
        for folder in folders.values():
            folder.mkdir()
        corpus = pa.Table.from_pylist([{"id": str(n), "source": "s", "text": text} for n, text in enumerate(texts)])
        pq.write_table(corpus, folders["corpus"] / "train.parquet")
        spec = TokenizerSpec(kind="byte-bpe", vocab_size=1024)
        tokenizer.run({"corpus": folders["corpus"]}, spec, folders["tokenizer"], local_context(root / "context"))
        model = build_model(shared.shape(), vocab_size=spec.vocab_size, positions=POSITIONS, seed=shared.SEED)
        write_model(model, folders["tokenizer"], folders["previous"])
        wide = build_model(shared.spec("5M"), vocab_size=spec.vocab_size, positions=POSITIONS, seed=shared.SEED + 1)
        write_model(wide, folders["tokenizer"], folders["teacher"])
        lines = [line for text in texts for line in text.splitlines() if 30 < len(line) < 160]
        rows = [
            (f"What follows {lines[n % len(lines)]!r}?", lines[(n * 7 + 1) % len(lines)]) for n in range(steps * 16)
        ]
        asked = [{"question": question, "answer": answer, "split": "train"} for question, answer in rows]
        pairs = [{"prompt": question, "chosen": answer, "rejected": answer[::-1]} for question, answer in rows]
        pq.write_table(pa.Table.from_pylist(asked), folders["instructions"] / "rows.parquet")
        pq.write_table(pa.Table.from_pylist(pairs), folders["preferences"] / "rows.parquet")
        pq.write_table(pa.Table.from_pylist([], policy_items.ROWS), folders["policy_items"] / "rows.parquet")
        (folders["policy_items"] / "policies.json").write_text("{}")
        yield folders


def seconds_a_step(stage: str, inputs: dict[str, Path], steps: int, clock: Callable[[], float], *, bare: bool) -> float:
    """Run a stage, or the trainer that it makes, bare; return the seconds of one step after the first."""
    from transformers import PrinterCallback, TrainerCallback

    from forge_dagster.training import resumable, trl_common

    ends: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *_: Any, **__: Any) -> None:
            ends.append(clock())

    def timed(trainer: Any, *arguments: Any, **options: Any) -> Any:
        trainer.add_callback(Clock)
        if not bare:
            return trained(trainer, *arguments, **options)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        return [row for row in trainer.state.log_history if "train_runtime" not in row]

    trained, module = trl_common.train, stage_module(stage)
    job = TrainingJob[Any](
        seed=shared.SEED,
        model=shared.shape(),
        settings=module.Settings.model_validate(settings(stage, steps)),
    )
    named = ("tokenizer", "previous", *module.NEEDS)
    with (
        tempfile.TemporaryDirectory() as name,
        mock.patch.object(trl_common, "train", timed),
        mock.patch("time.monotonic", clock),  # checkpoints are due by it; on a busy machine they would be due too often
        mock.patch.object(resumable, "resumable", peer if bare else resumable.resumable),
    ):
        (Path(name) / "out").mkdir()
        module.run({each: inputs[each] for each in named}, job, Path(name) / "out", local_context(Path(name)))
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def generation(inputs: dict[str, Path], clock: Callable[[], float]) -> tuple[float, float]:
    """Seconds for 64 answers of 32 tokens, in one batch as RL makes them, and one by one by `generate`."""
    import torch

    from forge_dagster.model.folder import load_model
    from forge_dagster.tokens.control import PAD_ID
    from forge_dagster.training.precision import thread_limit, threads

    model = load_model(inputs["previous"])
    prompts = torch.randint(5, 1000, (64, 40), generator=torch.Generator().manual_seed(1))
    how = {"max_new_tokens": 32, "min_new_tokens": 32, "do_sample": True, "pad_token_id": PAD_ID}

    def answer(rows: Any) -> None:
        model.generate(rows, attention_mask=torch.ones_like(rows), **how)  # type: ignore[operator]

    taken = []
    with thread_limit(threads()), torch.inference_mode():
        answer(prompts[:2])
        for parts in ([prompts], prompts.split(1)):
            begun = clock()
            for part in parts:
                answer(part)
            taken.append(clock() - begun)
    return taken[0], taken[1]


def main(*options: str) -> None:
    """Print the seconds of a step, ours and bare, and what batches save in generation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks stages", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=24)
    parser.add_argument("--clock", choices=shared.CLOCKS, default="wall", help=shared.CLOCK_HELP)
    parser.add_argument("--stages", nargs="+", choices=(*STAGES, GENERATION), default=(*STAGES, GENERATION))
    given = parser.parse_args(options)
    clock = shared.CLOCKS[given.clock]
    with company(given.steps) as inputs:
        for stage in (name for name in given.stages if name != GENERATION):
            pairs = []
            for number in range(-1, given.rounds):  # the first round warms up; who begins changes in turn
                order = (False, True) if number % 2 else (True, False)
                took = {bare: seconds_a_step(stage, inputs, given.steps, clock, bare=bare) for bare in order}
                pairs += [[took[False], took[True]]] if number >= 0 else []
            ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
            row = (stage, ours, theirs, [a / b for a, b in pairs])
            show("Seconds of one step; ours may take 1/0.97 = 1.03 of TRL's", [row], peer=PEER)
        if GENERATION in given.stages:
            batch, single = zip(*(generation(inputs, clock) for _ in range(given.rounds)), strict=True)
            told = statistics.median(b / a for a, b in zip(batch, single, strict=True))
            print(
                f"\n64 answers of 32 tokens: one by one takes {told:.1f} times as long as one batch (at least 3 wanted)"
            )
