"""SFT: the loss is on what the assistant says, packed conversations do not see each other."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trl import SFTTrainer

from forge_dagster.errors import DataError, RecipeError
from forge_dagster.model.folder import load_model
from forge_dagster.stage import local_context
from forge_dagster.stages import sft
from forge_dagster.tokens.encoding import load_encoder
from forge_dagster.training.batches import IGNORED
from forge_dagster.training.conversations import collate_packed, pack, taught

SEEN: list[dict[str, Any]] = []


class Spy(SFTTrainer):
    """Keeps the batches that reach the loss."""

    def compute_loss(self, model: Any, inputs: dict[str, Any], *arguments: Any, **options: Any) -> Any:
        SEEN.append(dict(inputs))
        return super().compute_loss(model, inputs, *arguments, **options)


@pytest.mark.parametrize("packing", [False, True])
def test_the_loss_is_on_the_words_of_the_assistant_alone(packing: bool, post, tmp_path: Path):
    SEEN.clear()
    job = post.job("sft", packing=packing, epochs=1)
    sft.tune(post.inputs, job, tmp_path, local_context(tmp_path), trainer=Spy)
    encoder, said = load_encoder(post.inputs["tokenizer"]), []
    for batch in SEEN:
        for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
            scored = labels != IGNORED
            assert torch.equal(ids[scored], labels[scored])
            said += encoder.decode(ids[scored].tolist(), skip_special_tokens=False).split("<|end|>")[:-1]
    assert sorted(said) == sorted(f"Answer: {n * 3} kW." for n in range(40) if n % 10)


def test_conversations_of_a_packed_row_do_not_see_each_other(post):
    examples, _ = taught(post.inputs["instructions"], post.inputs["tokenizer"], "Answer: {answer}.", 96)
    rows = pack(examples, 96)
    assert sum(len(row["input_ids"]) for row in rows) == sum(len(each["input_ids"]) for each in examples)
    assert all(len(row["input_ids"]) <= 96 for row in rows)
    assert len(rows) < len(examples) / 1.5
    batch = collate_packed(rows[:3])
    first = next(place for place in range(1, 96) if batch["position_ids"][0, place] == 0)
    for attention in ("sdpa", "eager"):
        model = load_model(post.inputs["previous"])
        model.set_attn_implementation(attention)

        def logits(ids: torch.Tensor, positions: torch.Tensor, model: Any = model) -> torch.Tensor:
            with torch.inference_mode():
                return model(input_ids=ids, position_ids=positions, use_cache=False).logits

        whole = logits(batch["input_ids"], batch["position_ids"])
        other = batch["input_ids"].clone()
        other[0, :first] = (other[0, :first] + 17) % 300
        perturbed = logits(other, batch["position_ids"])
        assert not torch.allclose(perturbed[0, :first], whole[0, :first])
        torch.testing.assert_close(perturbed[0, first:], whole[0, first:], rtol=0, atol=1e-6)
        alone = torch.tensor([rows[0]["input_ids"][:first]])
        torch.testing.assert_close(logits(alone, torch.arange(first)[None])[0], whole[0, :first], rtol=0, atol=1e-5)


def test_packed_and_padded_conversations_have_one_loss(post, tmp_path: Path):
    """All in one step: what is packed is only laid out otherwise."""
    _, padded = post.run("sft", tmp_path / "a", batch_size=36, epochs=1)
    _, packed = post.run("sft", tmp_path / "b", batch_size=36, epochs=1, packing=True)
    assert packed.metrics["loss"] == pytest.approx(padded.metrics["loss"], rel=1e-5)
    assert packed.counts["rows"] < padded.counts["rows"] == packed.counts["conversations"]


def test_conversations_that_do_not_fit_are_counted_or_refused(post, tmp_path: Path):
    with pytest.raises(DataError, match="at most 16 tokens"):
        post.run("sft", tmp_path, max_length=16)
    lengths = {}
    for length in range(16, 97):
        try:
            kept, too_long = taught(post.inputs["instructions"], post.inputs["tokenizer"], "{answer}", length)
        except DataError:
            continue
        assert len(kept) + too_long == 36
        assert max(len(each["input_ids"]) for each in kept) <= length
        lengths[length] = len(kept)
    assert len(set(lengths.values())) > 2
    assert lengths[96] == 36
    with pytest.raises(RecipeError, match="max_length = 129, the model reads 128"):
        post.run("sft", tmp_path, max_length=129)


def test_a_loss_that_is_no_number_stops_the_stage(post, tmp_path: Path):
    with pytest.raises(DataError, match=r"loss = (nan|inf) at step"):
        post.run("sft", tmp_path, learning_rate=1e25, epochs=4)
