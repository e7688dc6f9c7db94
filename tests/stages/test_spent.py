"""Operations of post-training are counted from what its models read, and outlive an interruption."""

from pathlib import Path

import pytest

from forge_dagster.errors import InterruptedRun
from forge_dagster.model.folder import load_model
from forge_dagster.training.cost import Cost, read_cost


def test_sft_spends_six_n_a_token_that_it_reads(post, tmp_path: Path):
    _, report = post.run("sft", tmp_path, epochs=1)
    tokens, operations = read_cost(tmp_path / "beside")
    per_token = 6 * Cost(load_model(post.inputs["previous"])).parameters
    assert operations == tokens * per_token
    learned, _ = read_cost(tmp_path / "out")
    assert tokens >= learned > 0, "padding is read too"
    assert report.counts["steps"] > 0


@pytest.mark.parametrize("stage", ["preference", "rl"])
def test_reference_and_generation_count_as_forward_passes(stage: str, post, tmp_path: Path):
    post.run(stage, tmp_path)
    tokens, operations = read_cost(tmp_path / "beside")
    parameters = Cost(load_model(post.inputs["previous"])).parameters
    assert 2 * parameters * tokens < operations < 6 * parameters * tokens


def test_an_adapter_counts_as_its_model_does(post, lora, tmp_path: Path):
    post.run("preference", tmp_path / "whole")
    post.run("preference", tmp_path / "adapter", lora=lora)
    whole, adapter = (read_cost(tmp_path / name / "beside") for name in ("whole", "adapter"))
    assert whole[0] == adapter[0]
    assert whole[1] <= adapter[1] < 1.5 * whole[1], "the adapter's own weights come on top"


def test_a_stopped_training_keeps_its_count(post, tmp_path: Path):
    post.run("preference", tmp_path / "whole")
    with pytest.raises(InterruptedRun):
        post.stop("preference", tmp_path / "twice", after=2)
    post.run("preference", tmp_path / "twice")
    whole, twice = (read_cost(tmp_path / name / "beside") for name in ("whole", "twice"))
    assert whole == twice
