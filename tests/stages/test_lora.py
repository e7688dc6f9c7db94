"""Adapters: every stage that trains a language model makes one if told to, and merging it changes no answer."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from forge_dagster.errors import RecipeError, WeightsError
from forge_dagster.model.adapter import with_adapter
from forge_dagster.model.build import build_model
from forge_dagster.model.folder import load_model, write_model
from forge_dagster.stages.base import check

FILES = ["adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json"]
HELD = {"preference": "rewards/margins", "preference_offset": "rewards/margins", "kto": "kl", "rl": "kl", "rloo": "kl"}
"""Figures of the first step that are 0 if the model is held to the one without an adapter."""


def logits(model: Any) -> torch.Tensor:
    ids = torch.randint(5, 300, (2, 20), generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        return model(ids).logits


@pytest.mark.parametrize("stage", ["sft", "distill", "preference_online", *HELD])
def test_a_merged_adapter_answers_as_the_adapter_does(stage: str, post, lora: dict[str, Any], tmp_path: Path):
    inputs = {"teacher": post.inputs["previous"]} if stage == "distill" else {}
    options: dict[str, Any] = {"policy_share": 0.0, "steps": 6} if stage == "preference_online" else {}
    adapter, report = post.run(stage, tmp_path / "adapter", inputs=inputs, lora=lora, learning_rate=0.1, **options)
    assert {path.name for path in adapter.iterdir()} - {"training.json", "cost.json"} == set(FILES)
    assert report.counts["trained_parameters"] == 2 * (16 + 16) * 2 + 2 * (32 + 16)
    if stage in HELD:
        with (tmp_path / "adapter" / "beside" / "log.csv").open() as stream:
            first = next(csv.DictReader(stream))
        assert abs(float(first[HELD[stage]])) < 1e-3, "the model is held to itself without an adapter"
    merged, report = post.run("merge", tmp_path / "merged", inputs={"adapter": adapter})
    assert report.counts == {"merged_matrices": 3}
    before = logits(load_model(post.inputs["previous"]))
    together = logits(with_adapter(load_model(post.inputs["previous"]), adapter))
    after = logits(load_model(merged))
    torch.testing.assert_close(after, together, rtol=0, atol=1e-5)
    assert not torch.allclose(after, before, atol=1e-3)


def test_an_adapter_learns(post, lora: dict[str, Any], tmp_path: Path):
    _, report = post.run("sft", tmp_path, lora=lora, learning_rate=0.1)
    assert report.metrics["loss"] < report.metrics["first_loss"]


def test_an_adapter_names_matrices_that_are_there(post, lora: dict[str, Any], tmp_path: Path):
    with pytest.raises(RecipeError, match="this model has no lm_head, w_pack for an adapter"):
        post.run("preference", tmp_path, lora={**lora, "modules": ["q_proj", "w_pack", "lm_head"]})


def test_a_reward_model_has_no_adapter(post, lora: dict[str, Any], tmp_path: Path):
    with pytest.raises(ValueError, match="lora"):
        post.run("reward_model", tmp_path, lora=lora)


def test_an_adapter_of_another_model_is_not_merged(post, lora: dict[str, Any], tmp_path: Path):
    adapter, _ = post.run("sft", tmp_path / "adapter", lora=lora, epochs=0.2)
    (tmp_path / "wide").mkdir()
    shape = post.job("sft").shape.model_copy(update={"hidden_size": 32})
    write_model(build_model(shape, vocab_size=300, positions=128, seed=1), post.inputs["tokenizer"], tmp_path / "wide")
    with pytest.raises(WeightsError, match="cannot be put on this model"):
        post.run("merge", tmp_path, inputs={"adapter": adapter, "previous": tmp_path / "wide"})


def test_what_is_no_whole_adapter_is_refused(post, lora: dict[str, Any], tmp_path: Path):
    adapter, _ = post.run("sft", tmp_path, lora=lora, epochs=0.2)
    assert [finding.passed for finding in check(adapter)] == [True, True, True]
    tensors = load_file(adapter / FILES[1])
    next(iter(tensors.values()))[0, 0] = torch.nan
    save_file(tensors, adapter / FILES[1])
    assert [finding.passed for finding in check(adapter)] == [True, False, True]
    (adapter / FILES[0]).unlink()
    found = check(adapter)
    assert found[0].observed == {"missing": [FILES[0]]}
    assert not found[0].passed
