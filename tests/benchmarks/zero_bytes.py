"""Run by torchrun for test_plan.py: `zero_bytes.py SHARDS RESULT`, bytes that one process holds by stage of ZeRO."""

import json
import sys
from pathlib import Path

import torch
import torch.distributed as dist
from small_run import SPEC, settings

from forge_dagster.model.build import build_model
from forge_dagster.tokens.order import Order
from forge_dagster.tokens.reader import open_documents
from forge_dagster.training.execution import Execution
from forge_dagster.training.zero import ZeroLearner


def held(shards: Path, stage: int) -> int:
    """Weights, master weights and moments of this process after one step."""
    how = Execution(
        dtype="float32", threads=1, device="cpu", micro_batch_tokens=64, compiled=False, recompute=False,
        processes=dist.get_world_size(), hosts=1, zero_stage=stage,
    )  # fmt: skip
    documents, given = open_documents(shards, "train"), settings(steps=2)
    model = build_model(SPEC, vocab_size=documents.vocab_size, positions=given.sequence_length, seed=1)
    learner = ZeroLearner(model, documents, given, how)
    learner.gradients(Order(1, documents.lengths, given.sequence_length, given.rows).batch(0))
    learner.update(1.0)
    weights = [each.ds_tensor if stage == 3 else each for each in model.parameters()]
    moments = [each for found in learner.sharded.moments.values() for name, each in found.items() if name != "step"]
    return sum(4 * each.numel() for each in (*weights, *learner._parts, *moments))


def main() -> None:
    """Tell of every stage."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    told = {stage: held(Path(sys.argv[1]), stage) for stage in (1, 2, 3)}
    if dist.get_rank() == 0:
        Path(sys.argv[2]).write_text(json.dumps(told), encoding="utf-8")
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
