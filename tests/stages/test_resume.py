"""Post-training interrupted and resumed gives the same bytes and the same report as run straight."""

import json
from pathlib import Path
from typing import Any

import pytest

from forge_dagster.errors import IntegrityError, InterruptedRun
from forge_dagster.stage import LocalContext, local_context
from forge_dagster.training import checkpoint

STEPS = {"sft": 10, "preference": 10, "preference_offset": 10, "reward_model": 10, "rl": 12, "kto": 10}


class Crashed(LocalContext):
    """Dies in a step, without a word to the trainer."""

    def progress(self, done: int, total: int, text: str = "") -> None:
        super().progress(done, total, text)
        if done == 8:
            raise RuntimeError("the machine is gone")


@pytest.mark.parametrize("after", [4, 7])
@pytest.mark.parametrize("stage", ["sft", "preference"])
def test_a_stopped_training_goes_on_to_the_same_bytes(stage: str, after: int, post, digests, tmp_path: Path):
    out, report = post.run(stage, tmp_path / "straight")
    assert report.counts["steps"] == STEPS[stage]
    with pytest.raises(InterruptedRun, match=f"after step {after} of {STEPS[stage]}"):
        post.stop(stage, tmp_path / "stopped", after=after)
    work = tmp_path / "stopped" / "work"
    assert {path.suffix for path in work.rglob("*") if path.is_file()} == {".json", ".safetensors"}
    resumed, again = post.run(stage, tmp_path / "stopped")
    assert digests(resumed) == digests(out)
    assert again == report
    logs = [(tmp_path / name / "beside" / "log.csv").read_text().splitlines() for name in ("straight", "stopped")]
    assert len(logs[0]) == len(logs[1]) == STEPS[stage] + 1


@pytest.mark.parametrize(
    ("stage", "adapter"),
    [
        ("preference_offset", False), ("kto", False), ("reward_model", False), ("distill", False),
        ("sft", True), ("preference", True), ("rl", True),
    ],
)  # fmt: skip
def test_other_kinds_resume_as_well(stage: str, adapter: bool, post, lora: dict[str, Any], digests, tmp_path: Path):
    options: dict[str, Any] = {"lora": lora} if adapter else {}
    if stage == "distill":
        options["inputs"] = {"teacher": post.inputs["previous"]}
    if stage == "rl":
        options["steps"] = 9
    out, report = post.run(stage, tmp_path / "straight", **options)
    with pytest.raises(InterruptedRun):
        post.stop(stage, tmp_path / "stopped", after=6, **options)
    resumed, again = post.run(stage, tmp_path / "stopped", **options)
    assert digests(resumed) == digests(out)
    assert again == report


@pytest.mark.parametrize(("stage", "after"), [("rl", 2), ("rl", 7), ("rloo", 7), ("preference_online", 3)])
def test_sampled_answers_are_the_same_after_a_resume(stage: str, after: int, post, digests, tmp_path: Path):
    """Four steps of GRPO and RLOO read every prompt once: after seven, they resume in a later round of them."""
    prompts = {"steps": 9, "prompts": 8}
    out, report = post.run(stage, tmp_path / "straight", **prompts)
    with pytest.raises(InterruptedRun):
        post.stop(stage, tmp_path / "stopped", after=after, **prompts)
    resumed, again = post.run(stage, tmp_path / "stopped", **prompts)
    assert again == report
    assert digests(resumed) == digests(out)


def test_a_crash_costs_the_steps_since_the_last_checkpoint(post, digests, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0.0)
    monkeypatch.setattr(checkpoint, "MOST_TIME_SAVING", 1e9)
    out, report = post.run("sft", tmp_path / "straight")
    plain = local_context(tmp_path / "crashed")
    with pytest.raises(RuntimeError, match="is gone"):
        post.run("sft", tmp_path / "crashed", context=Crashed(plain.work, plain.beside, plain.cache))
    found = checkpoint.checkpoints(plain.work / "checkpoints")
    assert [checkpoint.step_of(path) for path in found] == [7, 6]
    (found[0] / "optimizer.safetensors").write_bytes(b"torn")
    resumed, again = post.run("sft", tmp_path / "crashed", context=plain)
    assert "step-000000007 is corrupt" in plain.seen[0][2]
    assert plain.seen[1][0] == 7
    assert digests(resumed) == digests(out)
    assert again == report


def test_a_checkpoint_of_another_training_is_refused(post, tmp_path: Path):
    with pytest.raises(InterruptedRun):
        post.stop("sft", tmp_path, after=3)
    with pytest.raises(IntegrityError, match="of another settings"):
        post.run("sft", tmp_path, learning_rate=0.02)
    with pytest.raises(IntegrityError, match="of another seed"):
        post.run("sft", tmp_path, seed=4)


def test_a_stop_in_the_last_step_loses_nothing(post, tmp_path: Path):
    post.stop("sft", tmp_path, after=10)
    assert json.loads((tmp_path / "out" / "config.json").read_bytes())["model_type"] == "qwen3"
