"""What Dagster, store and records add to a training: `forge run` of a base checkpoint against the bare loop.

`python -m benchmarks overhead [--rounds N]`; `python -m benchmarks.overhead SHARDS WORK` is one bare training.
Both are processes of their own, so both import torch; what is added does not grow with the training.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml

from benchmarks import _training as shared
from forge_dagster.environment import close
from forge_dagster.home import PROJECT
from forge_dagster.sample.generate import generate

TEN_MINUTES = 600.0
TARGET = 0.03
STEPS = 20
KEYS = "raw_documents,clean_documents,document_split,domain_benchmark,corpus,tokenizer/bpe-2048,token_shards/bpe-2048"
BASE = "bench/base_checkpoint"


def bare(shards: Path, work: Path) -> None:
    """Train the recipe's model with nothing around the loop."""
    from forge_dagster.model.build import build_model
    from forge_dagster.stage import local_context
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.execution import execution
    from forge_dagster.training.learner import Learner
    from forge_dagster.training.loop import pretrain
    from forge_dagster.training.precision import thread_limit, threads

    given, documents = _recipe(), open_documents(shards, "train")
    settings = shared.settings(**given["stages"][0]["settings"], validate_every_steps=STEPS)
    with thread_limit(threads()):
        model = build_model(
            shared.shape(),
            vocab_size=documents.vocab_size,
            positions=settings.sequence_length,
            seed=given["seed"],
        )
        pretrain(
            Learner(model, documents, settings, execution()),
            seed=given["seed"],
            identity={},
            context=local_context(work),
            validate=dict,
        )


def _recipe() -> dict[str, Any]:
    recipe: dict[str, Any] = yaml.safe_load(shared.RECIPE.read_text(encoding="utf-8"))
    recipe |= {"name": "bench", "stages": recipe["stages"][:1]}
    recipe["stages"][0]["settings"] |= {"tokens": STEPS * shared.BATCH_TOKENS, "validation_tokens": 20_000}
    return recipe


def _seconds(command: list[str], environment: dict[str, str]) -> float:
    begun = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return time.perf_counter() - begun


def main(*options: str) -> None:
    """Print what is added, in seconds and as a part of ten minutes."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks overhead", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args(options).rounds
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        generate(300, shared.SEED, root / "sample")
        for folder in ("sources", "recipes"):
            (root / folder).mkdir()
        source = yaml.safe_load((PROJECT / "sources" / "sample.yaml").read_text(encoding="utf-8"))
        source |= {"location": "../sample/documents", "facts": "../sample/facts.jsonl"}
        source["canaries"] = "../sample/canaries.yaml"
        (root / "sources" / "sample.yaml").write_text(yaml.safe_dump(source), encoding="utf-8")
        (root / "recipes" / "bench.yaml").write_text(yaml.safe_dump(_recipe()), encoding="utf-8")
        folders = {f"FORGE_{what.upper()}": str(root / what) for what in ("home", "sources", "recipes")}
        environment = os.environ | folders
        forge = [sys.executable, "-m", "forge_dagster.cli.main", "run"]
        _seconds([*forge, "--select", KEYS], environment)
        version = root / "home" / "artifacts" / "token_shards" / "bpe-2048"
        shards = version / (version / "CURRENT").read_text(encoding="utf-8").strip() / "content"
        pairs = []
        for number in range(rounds):
            through = _seconds([*forge, "--force", "--select", BASE], environment)
            alone = [sys.executable, "-m", "benchmarks.overhead", str(shards), str(root / f"work-{number}")]
            pairs.append((through, _seconds(alone, environment)))
    added = statistics.median(through - alone for through, alone in pairs)
    print(f"\nA base checkpoint of {STEPS} steps through Dagster, store and records, against the bare loop")
    print(f"{'forge run s':>12}{'bare s':>10}{'added s':>10}{'of 10 min':>11}{'target':>9}")
    through, alone = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{through:>12.1f}{alone:>10.1f}{added:>10.1f}{added / TEN_MINUTES:>11.1%}{TARGET:>9.0%}")


if __name__ == "__main__":
    close()
    bare(Path(sys.argv[1]), Path(sys.argv[2]))
