"""torch.compile is an execution choice: another rounding, the same training, and a resume as exact as any."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from forge_dagster.home import PROJECT
from forge_dagster.model.build import build_model
from forge_dagster.recipe import load_recipe
from forge_dagster.stage import local_context
from forge_dagster.tokens.reader import Documents
from forge_dagster.training.execution import execution
from forge_dagster.training.log import read
from forge_dagster.training.loop import Outcome, pretrain
from forge_dagster.training.settings import Settings

pytestmark = pytest.mark.system

LENGTH, ROWS = 32, 4


def _train(folder: Path, *, compiled: bool) -> Outcome:
    recipe = load_recipe(PROJECT / "recipes" / "tiny-dense.yaml")
    shape = {"hidden_size": 32, "intermediate_size": 48, "layers": 1, "heads": 2, "kv_heads": 1, "head_dim": 16}
    changes = {"sequence_length": LENGTH, "batch_tokens": ROWS * LENGTH, "tokens": ROWS * LENGTH * 6}
    tokens = np.random.default_rng(3).integers(5, 300, 40 * LENGTH).astype(np.uint16)
    lengths = np.full(20, 2 * LENGTH)
    documents = Documents(
        shards=(tokens,), shard=np.zeros_like(lengths), starts=np.arange(20) * 2 * LENGTH, lengths=lengths,
        sizes=lengths, source=np.zeros_like(lengths), sources=("numbers",), vocab_size=300,
    )  # fmt: skip
    return pretrain(
        build_model(recipe.model.model_copy(update=shape), vocab_size=300, positions=LENGTH, seed=1),
        documents,
        Settings.model_validate(recipe.stages[0].settings | changes),
        seed=1,
        identity={},
        execution=replace(execution(), dtype="float32", threads=1, compiled=compiled),
        context=local_context(folder),
        validate=dict,
    )


def test_compiled_losses_are_the_plain_ones_but_for_rounding(tmp_path: Path):
    if shutil.which("g++") is None:
        pytest.skip("torch.compile on CPU needs a C++ compiler")
    plain, fast = _train(tmp_path / "a", compiled=False), _train(tmp_path / "b", compiled=True)
    for one, other in zip(read(plain.log), read(fast.log), strict=True):
        assert other["loss"] == pytest.approx(one["loss"], rel=1e-4)
