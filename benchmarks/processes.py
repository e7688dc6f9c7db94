"""Two processes with half the cores each against one with all: tokens a second of a step, by stage of ZeRO.

`python -m benchmarks processes [--steps N]`; torchrun runs this file with SHARDS STAGE STEPS for the processes.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

from benchmarks import _training as shared


def tokens_per_second(data: Path, stage: int, steps: int) -> float:
    """Median speed of the 5M model after two steps to warm up; the same batch whatever the stage."""
    from forge_dagster.model.build import build_model
    from forge_dagster.tokens.order import Order
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.execution import execution
    from forge_dagster.training.learner import Learner
    from forge_dagster.training.precision import thread_limit, threads
    from forge_dagster.training.zero import ZeroLearner

    processes = 2 if stage else 1
    how = replace(execution(), processes=processes, zero_stage=stage, threads=max(threads() // processes, 1))
    documents, settings = open_documents(data, "train"), shared.settings(tokens=shared.BATCH_TOKENS)
    spent = []
    with thread_limit(how.threads):
        model = build_model(shared.spec("5M"), vocab_size=documents.vocab_size, positions=shared.LENGTH, seed=1)
        learner = (ZeroLearner if stage else Learner)(model, documents, settings, how)
        order = Order(shared.SEED, documents.lengths, shared.LENGTH, settings.rows)
        for step in range(steps + 2):
            begun = time.perf_counter()
            learner.gradients(order.batch(step))
            learner.update(1.0)
            spent.append(time.perf_counter() - begun)
    return shared.BATCH_TOKENS / statistics.median(spent[2:])


def main(*options: str) -> None:
    """Print speed and efficiency of every stage."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks processes", description=__doc__)
    parser.add_argument("--steps", type=int, default=10)
    steps = parser.parse_args(options).steps
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    print(f"\n{'':<16}{'tokens/s':>10}{'of one process':>16}")
    with shared.token_shards(None) as data:
        alone = tokens_per_second(data, 0, steps)
        print(f"{'one process':<16}{alone:>10,.0f}{1:>16.0%}")
        for stage in (1, 2, 3):
            done = subprocess.run(
                [*torchrun, "-m", "benchmarks.processes", str(data), str(stage), str(steps)],
                env=os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            speed = float(done.stdout.splitlines()[-1])
            print(f"{f'two, ZeRO {stage}':<16}{speed:>10,.0f}{speed / alone:>16.0%}", flush=True)


if __name__ == "__main__":
    import torch.distributed as dist

    dist.init_process_group("gloo")
    figure = tokens_per_second(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
    if dist.get_rank() == 0:
        print(figure)
    dist.destroy_process_group()
