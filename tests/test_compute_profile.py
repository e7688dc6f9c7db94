"""A compute profile says what each step takes, and refuses what a cluster would refuse later."""

from pathlib import Path

import pytest

from forge_dagster.compute_profile import KubernetesProfile, SlurmProfile, load_profile, number, profile
from forge_dagster.errors import RecipeError

KUBERNETES = """
kind: kubernetes
image: registry.example.org/forge:0.1.0
default: {cpu: "2", memory: 8Gi}
steps:
  "*/base_checkpoint": {cpu: "8", memory: 64Gi, gpu: 8, queue: training}
  "tiny-*/*": {memory: 2Gi}
training: {hosts: 2, processes: 8, zero_stage: 3}
"""


def _written(folder: Path, text: str) -> Path:
    path = folder / "compute.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_first_pattern_that_matches_says_what_a_step_takes(tmp_path: Path):
    found = load_profile(_written(tmp_path, KUBERNETES))
    assert isinstance(found, KubernetesProfile)
    assert found.pod("tiny-dense/base_checkpoint").gpu == 8
    assert found.pod("tiny-dense/scorecard").memory == "2Gi"
    assert found.pod("corpus").memory == "8Gi"
    assert (found.training.hosts, found.training.zero_stage) == (2, 3)


def test_a_step_whose_hosts_train_elsewhere_holds_no_gpu(tmp_path: Path):
    found = load_profile(_written(tmp_path, KUBERNETES))
    assert found.step("tiny-dense/base_checkpoint", parallel=True).gpu == 0
    assert found.step("tiny-dense/base_checkpoint", parallel=False).gpu == 8
    text = KUBERNETES.replace("zero_stage: 3}", "zero_stage: 3, stage: {memory: 96Gi}}")
    assert load_profile(_written(tmp_path, text)).step("any/base_checkpoint", parallel=True).memory == "96Gi"


def test_a_profile_of_slurm_is_told_by_its_kind(tmp_path: Path):
    found = load_profile(_written(tmp_path, "kind: slurm\npartition: gpu\nminutes: 90\n"))
    assert isinstance(found, SlurmProfile)
    assert found.minutes == 90


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("image: registry.example.org/forge", "image"),
        ("image: registry.example.org:5000/forge", "image"),
        ("image: registry.example.org/forge:latest", "image"),
        ("namespace: Not_A_Label", "namespace"),
        ("default: {cpu: much}", "default.cpu"),
        ("default: {gpu: -1}", "default.gpu"),
        ("default: {node_selektor: {}}", "node_selektor"),
        ("training: {hosts: 0}", "training.hosts"),
        ("training: {zero_stage: 4}", "zero_stage"),
        ("kind: swarm", "kind"),
    ],
)
def test_what_breaks_a_rule_is_named(tmp_path: Path, line: str, key: str):
    told = {name: text for text in ["kind: kubernetes", "image: a/forge:1", line] for name in [text.split(":")[0]]}
    with pytest.raises(RecipeError, match=key):
        load_profile(_written(tmp_path, "\n".join(told.values())))


@pytest.mark.parametrize("image", ["a/forge:1.2", "registry.example.org:5000/a/forge:1", f"forge@sha256:{'0' * 64}"])
def test_images_that_stay_are_taken(tmp_path: Path, image: str):
    found = load_profile(_written(tmp_path, f"kind: kubernetes\nimage: {image}\n"))
    assert isinstance(found, KubernetesProfile)
    assert found.image == image


def test_without_the_variable_steps_run_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.delenv("FORGE_COMPUTE", raising=False)
    assert profile() is None
    monkeypatch.setenv("FORGE_COMPUTE", str(_written(tmp_path, KUBERNETES)))
    assert profile() is not None


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("minutes: 10", "10 minutes leave no time to train before 600 s of saving"),
        ("steps: {'*/base_checkpoint': {queue: training}}", "base_checkpoint asks for queue, which Slurm knows not"),
    ],
)
def test_slurm_is_not_asked_for_what_it_lacks(tmp_path: Path, line: str, told: str):
    with pytest.raises(RecipeError, match=told):
        load_profile(_written(tmp_path, f"kind: slurm\n{line}\n"))


@pytest.mark.parametrize(
    ("quantity", "amount"), [("1500m", 1.5), ("2", 2), ("1k", 1000), ("64Gi", 2**36), ("0.5G", 5e8), ("3Ki", 3072)]
)
def test_quantities_are_numbers(quantity: str, amount: float):
    assert number(quantity) == amount
