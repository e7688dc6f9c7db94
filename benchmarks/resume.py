"""Loading, verifying and taking up a checkpoint against reading its bytes once with nothing else.

`python -m benchmarks resume [--megabytes N]`
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks._table import paired, show

MEGABYTES = 400
ROUNDS = 5
WIDTH = 1024


def _read_once(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        path.read_bytes()


def main(*options: str) -> None:
    """Print the ratio of taking up a checkpoint to reading it; both from the page cache, which is the harder case."""
    import torch

    from forge_dagster.training import checkpoint

    parser = argparse.ArgumentParser(prog="python -m benchmarks resume", description=__doc__)
    parser.add_argument("--megabytes", type=int, default=MEGABYTES, help="size of the checkpoint")
    count = parser.parse_args(options).megabytes * 2**20 // (4 * WIDTH * WIDTH) // 3
    weights = {f"layer.{number}": torch.randn(WIDTH, WIDTH) for number in range(count)}
    state = {f"muon/{name}/momentum": torch.randn(WIDTH, 2 * WIDTH) for name in weights}
    with tempfile.TemporaryDirectory() as folder:
        path = checkpoint.save(
            Path(folder), 1, {"model": weights, "optimizer": state}, {"identity": {"seed": "1"}}, keep=()
        )

        def take_up() -> None:
            found = checkpoint.resume(Path(folder), {"seed": "1"}, tell=print)
            assert found is not None, "the checkpoint was just saved"
            for name, weight in weights.items():
                weight.copy_(found.tensors["model"][name])
            for name, value in found.tensors["optimizer"].items():
                state[name] = value.clone()

        rows = [("load, verify, take up", *paired(take_up, lambda: _read_once(path), ROUNDS))]
    show(f"Resuming from {count * 12} MiB", rows, peer="read once")
