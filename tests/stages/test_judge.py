"""A reward model has its declared part in the reward of sampled answers, and scores them as it was trained to."""

import csv
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from forge_dagster.errors import DataError
from forge_dagster.training import scoring


@pytest.fixture(scope="module")
def judge(post, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reward model that has learnt to prefer answers in form."""
    return post.run("reward_model", tmp_path_factory.mktemp("judge"), epochs=4)[0]


@pytest.fixture(scope="module")
def taught(post, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that answers in form now and then."""
    return post.run("sft", tmp_path_factory.mktemp("taught"), epochs=8, learning_rate=0.01)[0]


def said(text: str, role: str = "assistant") -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def test_its_score_is_that_of_trl_as_a_probability(post, judge: Path):
    asked = [said(f"What power has pump {n}?", "user") for n in (0, 10)] * 2
    answers = [said(text) for text in ("Answer: 0 kW.", "Answer: 30 kW.", "0 kW", "30 kW")]
    found = scoring.judge_function(judge, post.inputs["tokenizer"])(asked, answers)
    tokenizer = AutoTokenizer.from_pretrained(post.inputs["tokenizer"])
    model = AutoModelForSequenceClassification.from_pretrained(judge, dtype=torch.float32)
    for score, prompt, answer in zip(found, asked, answers, strict=True):
        ids = tokenizer.apply_chat_template(prompt + answer, return_tensors="pt")["input_ids"]
        with torch.inference_mode():
            assert score == pytest.approx(model(ids).logits[0, 0].sigmoid().item(), abs=1e-5)
    assert min(found[:2]) > 0.5 > max(found[2:])


@pytest.mark.parametrize("stage", ["rl", "rloo", "preference_online"])
def test_it_has_its_part_in_the_reward(stage: str, post, judge: Path, tmp_path: Path):
    options: dict[str, Any] = {"inputs": {"reward_model": judge}, "reward_model": {"name": "judge", "share": 0.25}}
    _, report = post.run(stage, tmp_path, **options)
    with (tmp_path / "beside" / "log.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    if stage != "preference_online":  # which logs the sum alone
        for row in rows:
            parts = [float(row[f"rewards/{name}/mean"]) for name in ("reward", "judge_reward")]
            assert float(row["reward"]) == pytest.approx(0.75 * parts[0] + 0.25 * parts[1], abs=1e-6)
            assert 0 < parts[1] < 1
    assert 0 < report.metrics["reward"] < 1


@pytest.mark.parametrize("stage", ["rl", "rloo"])
def test_a_model_learns_what_it_likes(stage: str, post, judge: Path, taught: Path, tmp_path: Path):
    """No answer is in form, so that nothing but the reward model tells them apart."""
    options: dict[str, Any] = {
        "inputs": {"previous": taught, "reward_model": judge},
        "reward_model": {"name": "judge", "share": 1.0},
        "answer_form": "never",
    }
    _, report = post.run(stage, tmp_path, steps=30, learning_rate=0.003, prompts=4, max_new_tokens=12, **options)
    assert report.metrics["reward"] > report.metrics["first_reward"] + 0.1


def test_a_score_that_is_no_number_is_refused(post, judge: Path, tmp_path: Path):
    for path in judge.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    model = AutoModelForSequenceClassification.from_pretrained(judge)
    torch.nn.init.constant_(model.score.weight, torch.nan)
    model.save_pretrained(tmp_path)
    options: dict[str, Any] = {"inputs": {"reward_model": tmp_path}, "reward_model": {"name": "judge", "share": 0.5}}
    with pytest.raises(DataError, match=r"the reward of .* is nan"):
        post.run("rl", tmp_path / "run", **options)
