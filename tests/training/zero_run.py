"""Run by torchrun for test_zero.py: `zero_run.py SHARDS SETTINGS RESULT SPEC`, twenty steps of every way in WAYS."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from forge_dagster.model.build import build_model
from forge_dagster.recipe import ModelSpec
from forge_dagster.tokens.order import Order
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training.execution import Execution
from forge_dagster.training.learner import Learner
from forge_dagster.training.precision import Dtype
from forge_dagster.training.settings import Settings

STEPS, SKIPPED = 20, 5
WAYS: tuple[tuple[Dtype, int], ...] = (("float32", 1), ("float32", 2), ("float32", 3), ("bfloat16", 1), ("bfloat16", 3))
"""Number formats of matrix products, and stages of ZeRO."""


def learner_of(spec: ModelSpec, shards: Path, settings: Settings, dtype: Dtype, stage: int) -> Learner:
    """One process of two in a stage of ZeRO, or alone in stage 0; passes of one row."""
    from forge_dagster.training.zero import ZeroLearner

    how = Execution(
        dtype=dtype, threads=1, device="cpu", micro_batch_tokens=settings.sequence_length, compiled=False,
        recompute=False, processes=2 if stage else 1, hosts=1, zero_stage=stage,
    )  # fmt: skip
    model = build_model(spec, vocab_size=300, positions=settings.sequence_length, seed=1)
    kind = ZeroLearner if stage else Learner
    return kind(model, open_documents(shards, "train"), settings, how)


def losses(learner: Learner, begin: int, end: int) -> list[tuple[float, float]]:
    """Loss and norm of these steps; one of them is skipped."""
    settings = learner.settings
    order = Order(1, learner.documents.lengths, settings.sequence_length, settings.rows)
    found = []
    for step in range(begin, end):
        found.append(learner.gradients(order.batch(step)))
        if step == SKIPPED:
            learner.skip()
        else:
            learner.update(1.0)
    return found


def main() -> None:
    """Train, go back to step 10 by the state taken there, and train on; write the losses of both."""
    shards, settings, result, spec = sys.argv[1:]
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    told = {}
    for dtype, stage in WAYS:
        shape = ModelSpec.model_validate_json(spec)
        learner = learner_of(shape, Path(shards), Settings.model_validate_json(settings), dtype, stage)
        first = losses(learner, 0, STEPS // 2)
        state = [learner.tensors()]
        dist.broadcast_object_list(state, 0)
        second = losses(learner, STEPS // 2, STEPS)
        learner.load(state[0])
        told[f"{dtype} {stage}"] = {"straight": first + second, "again": losses(learner, STEPS // 2, STEPS)}
    if dist.get_rank() == 0:
        Path(result).write_text(json.dumps(told), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
