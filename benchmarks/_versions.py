"""A release of so many megabytes in a store, for benchmarks of what is done with versions."""

import os
from pathlib import Path

from forge_dagster.home import Home
from forge_dagster.provenance.build import Order, build
from forge_dagster.provenance.run import Run
from forge_dagster.stage import FrozenModel, Report, Stage
from forge_dagster.versions.track import track

SHARD = 64  # megabytes a file, as weights and shards are


class Size(FrozenModel):
    """How large a release is."""

    megabytes: int


def run(inputs: object, config: Size, out: Path, context: object) -> Report:
    """Write files of noise, and a few small ones as every release has."""
    for number in range(max(1, config.megabytes // SHARD)):
        with (out / f"model-{number}.safetensors").open("wb") as stream:
            for _ in range(min(SHARD, config.megabytes)):
                stream.write(os.urandom(1_000_000))
    for name in ("manifest.json", "README.md", "config.json", "tokenizer.json"):
        (out / name).write_bytes(os.urandom(10_000).hex().encode() + name.encode())
    return Report(counts={"files": 1})


STAGE = Stage(run=run)


def release(home: Home, megabytes: int) -> str:
    """Make and track it; return its digest."""
    made = Run(home, "bench")
    made.freeze({})
    config = Size(megabytes=megabytes)
    order = Order(key="big/release", module=__name__, inputs={}, external={}, config=config, numerics=None)
    digest = build(made, order, actor="bench", say=print).record.digest
    done = track(home)
    assert not done.problems, done.problems
    return digest
