"""Preferences: the loss of each kind is the one of its paper, and pairs that cannot teach are counted."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from torch.nn.functional import logsigmoid

from forge_dagster.errors import DataError
from forge_dagster.model.folder import load_model
from forge_dagster.training.offset_dpo import OffsetDPOTrainer

LOSSES: list[dict[str, Any]] = []


class Spy(OffsetDPOTrainer):
    """Keeps each batch with its loss and the weights it was computed with."""

    def _compute_loss(self, model: Any, inputs: dict[str, Any], return_outputs: bool) -> Any:
        weights = {name: value.clone() for name, value in model.state_dict().items()}
        loss = super()._compute_loss(model, inputs, return_outputs)
        LOSSES.append({"weights": weights, "loss": loss.item(), **inputs})
        return loss


def log_probabilities(model: Any, batch: dict[str, Any]) -> torch.Tensor:
    """Of each answer, summed over its tokens."""
    with torch.inference_mode():
        logits = model(batch["input_ids"], attention_mask=batch["attention_mask"]).logits[:, :-1]
    taken = logits.log_softmax(-1).gather(2, batch["input_ids"][:, 1:, None])[..., 0]
    return (taken * batch["completion_mask"][:, 1:]).sum(1)


def test_the_offset_is_a_margin_in_the_loss(post, tmp_path: Path, monkeypatch):
    LOSSES.clear()
    monkeypatch.setattr("forge_dagster.training.offset_dpo.OffsetDPOTrainer", Spy)
    _, report = post.run("preference_offset", tmp_path, offset=3.0, sft_weight=0.0, learning_rate=0.02)
    assert len(LOSSES) == report.counts["steps"] == 10
    reference = load_model(post.inputs["previous"])
    model = load_model(post.inputs["previous"])
    for batch in (LOSSES[0], LOSSES[-1]):
        model.load_state_dict(batch["weights"])
        ratios = log_probabilities(model, batch) - log_probabilities(reference, batch)
        chosen, rejected = ratios.chunk(2)
        assert (batch["offset"] == 3.0).all()  # in form and right, against out of form
        expected = -logsigmoid(0.1 * (chosen - rejected) - batch["offset"]).mean()
        assert batch["loss"] == pytest.approx(float(expected), rel=2e-3)  # trained in bfloat16
    margin = 0.1 * (chosen - rejected).mean()
    lines = (tmp_path / "beside" / "log.csv").read_text().splitlines()
    logged = float(dict(zip(lines[0].split(","), lines[-1].split(","), strict=True))["rewards/margins"])
    assert logged == pytest.approx(float(margin), rel=2e-2)


def _pairs(folder: Path, rows: list[tuple[str, str, str]]) -> Path:
    folder.mkdir()
    names = ("prompt", "chosen", "rejected")
    pq.write_table(pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows]), folder / "rows.parquet")
    return folder


@pytest.mark.parametrize("stage", ["preference", "kto", "reward_model"])
def test_pairs_that_cannot_teach_are_left_out_and_counted(stage: str, post, tmp_path: Path):
    good = [(f"Which pump is {n}?", f"Answer: {n}.", str(n)) for n in range(12)]
    bad = [("Same?", "yes", "yes"), ("Same?", "no", "no"), ("Long?", "a", "word " * 60)]
    preferences = _pairs(tmp_path / "pairs", good + bad)
    _, report = post.run(stage, tmp_path, inputs={"preferences": preferences}, epochs=1)
    assert {name: report.counts[name] for name in ("pairs", "equal_pairs", "too_long")} == {
        "pairs": 12,
        "equal_pairs": 2,
        "too_long": 1,
    }


def test_preferences_without_a_usable_pair_are_refused(post, tmp_path: Path):
    preferences = _pairs(tmp_path / "pairs", [("Same?", "yes", "yes")])
    with pytest.raises(DataError, match="1 prefer an answer to itself"):
        post.run("preference", tmp_path, inputs={"preferences": preferences})


def test_kto_tells_good_from_bad(post, tmp_path: Path):
    _, report = post.run("kto", tmp_path, epochs=3)
    assert report.counts["answers"] == 80
    assert report.metrics["margin"] > 1


def test_a_reward_model_judges_what_it_has_not_seen(post, tmp_path: Path):
    judge, report = post.run("reward_model", tmp_path, epochs=4)
    assert report.counts["seen"] + report.counts["unseen"] == 40
    assert report.counts["unseen"] == 4
    assert report.metrics["unseen_accuracy"] == 1.0
    names = {path.name for path in judge.iterdir()}
    assert names == {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}


def test_online_preferences_refuse_rewards_that_never_differ(post, tmp_path: Path):
    with pytest.raises(DataError, match="rewarded alike"):
        post.run("preference_online", tmp_path, answer_form="never")
