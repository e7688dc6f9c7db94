"""How to run is told by variables; what is none of the choices is refused with its name."""

from pathlib import Path

import pytest

from forge_dagster.errors import RecipeError
from forge_dagster.training.execution import execution
from resources.compute import numerics


def test_what_changes_bits_is_in_the_numerics(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = numerics()
    monkeypatch.setenv("FORGE_RECOMPUTE", "1")
    assert numerics() == plain
    monkeypatch.setenv("FORGE_MICRO_BATCH", "1024")
    assert numerics() == plain | {"micro_batch_tokens": 1024}
    monkeypatch.setenv("FORGE_COMPILE", "1")
    assert numerics() == plain | {"micro_batch_tokens": 1024, "compiled": True}


def test_rows_of_a_pass() -> None:
    how = execution({"FORGE_MICRO_BATCH": "1000"})
    assert (how.micro_rows(256), how.micro_rows(2000)) == (3, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [("FORGE_DEVICE", "tpu"), ("FORGE_MICRO_BATCH", "0"), ("FORGE_MICRO_BATCH", "many"), ("FORGE_COMPILE", "yes")],
)
def test_what_is_no_choice_is_refused(name: str, value: str) -> None:
    with pytest.raises(RecipeError, match=f"{name} = '{value}'"):
        execution({name: value})


def test_a_compute_profile_alone_says_how_a_training_is_spread(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "compute.yaml"
    path.write_text("kind: slurm\ntraining: {hosts: 2, processes: 4, zero_stage: 3}\n")
    for name, value in (("COMPUTE", str(path)), ("THREADS", "8"), ("PROCESSES", "4")):
        monkeypatch.setenv(f"FORGE_{name}", value)
    how = execution(parallel=True)
    assert (how.hosts, how.processes, how.zero_stage, how.threads) == (2, 4, 3, 2)
    assert numerics(parallel=True).items() >= {"world_size": 8, "zero_stage": 3}.items()
    assert execution().world_size == 1  # of a stage that runs as one process
    monkeypatch.setenv("FORGE_HOSTS", "3")
    with pytest.raises(RecipeError, match=rf"FORGE_HOSTS = '3', but training.hosts = 2 in {path}"):
        execution(parallel=True)
