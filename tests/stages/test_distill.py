"""Distillation: the student comes closer to its teacher, which must speak in the same tokens."""

from pathlib import Path

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from forge_dagster.errors import WeightsError
from forge_dagster.model.build import build_model
from forge_dagster.model.folder import load_model, write_model
from forge_dagster.recipe import TokenizerSpec
from forge_dagster.stage import local_context
from forge_dagster.tokens import tokenizer
from forge_dagster.training.conversations import taught
from forge_dagster.training.distillation import forward_kl


@pytest.fixture(scope="module")
def teacher(post, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wider model that SFT has taught."""
    root = tmp_path_factory.mktemp("teacher")
    (root / "raw").mkdir()
    wide = post.job("sft").shape.model_copy(update={"hidden_size": 32, "intermediate_size": 64})
    write_model(build_model(wide, vocab_size=300, positions=128, seed=2), post.inputs["tokenizer"], root / "raw")
    out, _ = post.run("sft", root / "taught", inputs={"previous": root / "raw"}, epochs=6)
    return out


def distance(student: Path, teacher: Path, post) -> float:
    """Mean KL divergence over the tokens of the answers, by torch's own distributions."""
    examples, _ = taught(post.inputs["instructions"], post.inputs["tokenizer"], "Answer: {answer}.", 96)
    first, second = load_model(teacher), load_model(student)
    found = []
    with torch.inference_mode():
        for example in examples[:8]:
            ids = torch.tensor([example["input_ids"]])
            scored = torch.tensor(example["labels"])[1:] >= 0
            expected, got = (Categorical(logits=model(ids).logits[0, :-1][scored]) for model in (first, second))
            found.append(kl_divergence(expected, got).mean())
    return float(torch.stack(found).mean())


def test_the_student_comes_closer_to_the_teacher(post, teacher: Path, tmp_path: Path):
    out, report = post.run("distill", tmp_path, inputs={"teacher": teacher}, hard_share=0.0, epochs=4)
    before, after = distance(post.inputs["previous"], teacher, post), distance(out, teacher, post)
    assert after < before / 2
    assert report.counts["teacher_parameters"] == load_model(teacher).num_parameters()
    log = (tmp_path / "beside" / "log.csv").read_text().splitlines()[0]
    assert {"kl", "cross_entropy"} <= set(log.split(","))


def test_the_divergence_is_forward_and_tempered():
    student, wise = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0)).unbind()
    expected = kl_divergence(Categorical(logits=wise / 2), Categorical(logits=student / 2)).mean()
    assert float(forward_kl(student, wise, 2.0)) == pytest.approx(float(expected), rel=1e-5)


def test_a_teacher_with_another_tokenizer_is_refused(post, teacher: Path, tmp_path: Path):
    other = tmp_path / "tokenizer"
    other.mkdir()
    spec = TokenizerSpec(kind="byte-bpe", vocab_size=301)
    tokenizer.run({"corpus": post.inputs["corpus"]}, spec, other, local_context(tmp_path))
    with pytest.raises(WeightsError, match="has another tokenizer: the student's is not the teacher's"):
        post.run("distill", tmp_path, inputs={"teacher": teacher, "tokenizer": other})


def test_open_weights_do_not_teach_what_was_not_inherited(post, teacher: Path, tmp_path: Path):
    weights = tmp_path / "weights"
    weights.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (weights / name).write_bytes((teacher / name).read_bytes())
    (weights / "weights.json").write_text("{}")
    with pytest.raises(WeightsError, match="was not inherited from a vocabulary like the teacher's"):
        post.run("distill", tmp_path, inputs={"teacher": weights})
