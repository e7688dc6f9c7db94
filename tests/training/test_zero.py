"""Two processes learn what one learns, in every stage of ZeRO, and go back to a state as one does."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from zero_run import STEPS, WAYS, learner_of, losses

from forge_dagster.errors import RecipeError
from forge_dagster.model.build import build_model
from forge_dagster.recipe import ModelSpec
from forge_dagster.training import zero
from forge_dagster.training.execution import execution
from forge_dagster.training.hosts.here import rendezvous
from forge_dagster.training.precision import Dtype
from forge_dagster.training.settings import Settings
from forge_dagster.training.sharded import groups_of
from resources.compute import numerics

TOLERANCE: dict[Dtype, float] = {"float32": 1e-5, "bfloat16": 5e-3}
"""Of loss (nats a token) and gradient norm over twenty steps. Gradients are summed in another order; a weight that
differs in its last bit of float32 may be rounded to the next bfloat16."""


@pytest.mark.parametrize("architecture", ["qwen3_moe", pytest.param("qwen3", marks=pytest.mark.system)])
def test_two_processes_agree_with_one(
    spec_of: Callable[[str], ModelSpec], architecture: str, settings: Settings, shards_folder: Path, tmp_path: Path
) -> None:
    spec = spec_of(architecture)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = [str(shards_folder), settings.model_dump_json(), str(tmp_path / "told.json"), spec.model_dump_json()]
    done = subprocess.run(
        [*torchrun, str(Path(__file__).with_name("zero_run.py")), *arguments],
        env=os.environ | {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    told = json.loads((tmp_path / "told.json").read_text())
    for dtype, tolerance in TOLERANCE.items():
        alone = losses(learner_of(spec, shards_folder, settings, dtype, 0), 0, STEPS)
        assert alone[-1][0] < alone[0][0] - 1
        for way in (f"{each} {stage}" for each, stage in WAYS if each == dtype):
            assert told[way]["again"] == told[way]["straight"][STEPS // 2 :], way
            for mine, theirs in zip(alone, told[way]["straight"], strict=True):
                assert theirs == pytest.approx(mine, abs=tolerance), way


def test_every_parameter_is_in_one_group(dense_or_mixture: ModelSpec) -> None:
    model = build_model(dense_or_mixture, vocab_size=300, positions=32, seed=1)
    groups = groups_of(model)
    assert sorted(name for group in groups for name in group.names) == sorted(n for n, _ in model.named_parameters())
    assert all(tuple(p.shape) == group.shape for group, items in groups.items() for p in items)


def test_another_deepspeed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zero, "DEEPSPEED", "0.0.1")
    with pytest.raises(RecipeError, match=r"deepspeed 0\.19\.8 is installed\n.*0\.0\.1"):
        zero.refuse_other_version()


def test_the_profile_says_how_many_and_the_numerics_know(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = numerics()
    for name, value in (("PROCESSES", "2"), ("HOSTS", "3"), ("ZERO", "2")):
        monkeypatch.setenv(f"FORGE_{name}", value)
    assert numerics() == plain  # of a stage that runs as one process
    several = numerics(parallel=True)
    assert (several["world_size"], several["zero_stage"]) == (6, 2)
    assert several["libraries"]["deepspeed"] == zero.DEEPSPEED


@pytest.mark.parametrize(("name", "value"), [("FORGE_PROCESSES", "0"), ("FORGE_HOSTS", "two"), ("FORGE_ZERO", "4")])
def test_what_is_no_choice_is_refused(name: str, value: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} = '{value}'"):
        execution({name: value}, parallel=True)


def test_hosts_need_a_place_to_meet() -> None:
    assert rendezvous({"FORGE_RENDEZVOUS": "10.0.0.1:29500"}) == "10.0.0.1:29500"
    with pytest.raises(RecipeError, match="FORGE_RENDEZVOUS = ''"):
        rendezvous({})
