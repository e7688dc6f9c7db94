"""The release: whole and honest, or refused with every reason."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster import release
from forge_dagster.errors import VerdictError
from forge_dagster.evaluation.score import scored_digests
from forge_dagster.provenance.files import content_digest, list_files
from forge_dagster.recipe import Recipe
from forge_dagster.stage import local_context

RECIPE = Recipe.model_validate(
    {
        "name": "small",
        "description": "A model for a test.",
        "seed": 1,
        "tokenizer": {"kind": "byte-bpe", "vocab_size": 300},
        "model": {
            "architecture": "qwen3", "hidden_size": 16, "intermediate_size": 32, "layers": 1, "heads": 2,
            "kv_heads": 1, "head_dim": 8, "tie_embeddings": False, "rope_theta": 10000,
        },
        "stages": [{"stage": "base", "settings": {}}, {"stage": "sft", "settings": {}}],
        "gates": [
            {"metric": "facts_seen.acc", "minimum": 0.8},
            {"metric": "validation.bits_per_byte", "below_untrained_by": 1.0, "maximum": 3.0},
        ],
    }
)  # fmt: skip
HEADER = json.dumps({"__metadata__": {"format": "pt"}}).encode()
SAFETENSORS = len(HEADER).to_bytes(8, "little") + HEADER

Inputs = dict[str, Path]


def scores(accuracy: float, bits: float) -> dict[str, dict[str, Any]]:
    return {
        "facts_seen.acc": {"value": accuracy, "stderr": 0.03, "n": 200},
        "validation.bits_per_byte": {"value": bits, "stderr": None, "n": 12},
    }


def write_scorecard(inputs: Inputs, last: dict[str, Any], **changes: Any) -> None:
    body = {
        "checkpoints": {"untrained": scores(0.25, 4.0), "base": scores(0.85, 2.0), "sft": last},
        "passed": True,
        "scored": {"sft": scored_digests(inputs["checkpoint"])},
        **changes,
    }
    (inputs["scorecard"] / "scorecard.json").write_text(json.dumps(body))


@pytest.fixture
def inputs(tmp_path: Path) -> Inputs:
    """Everything a release reads; gates pass."""
    found = {name: tmp_path / name for name in ("checkpoint", "scorecard", "tokenizer", "corpus")}
    for folder in found.values():
        folder.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (found["tokenizer"] / name).write_text(name)
        shutil.copyfile(found["tokenizer"] / name, found["checkpoint"] / name)
    for name in ("config.json", "generation_config.json"):
        (found["checkpoint"] / name).write_text("{}")
    (found["checkpoint"] / "model.safetensors").write_bytes(SAFETENSORS)
    labels = {"source": "handbook", "licence": "internal", "sensitivity": "public"}
    rows = [{"id": str(number), **labels} for number in range(3)]
    pq.write_table(pa.Table.from_pylist(rows), found["corpus"] / "train.parquet")
    write_scorecard(found, scores(0.9, 1.5))
    return found


@pytest.fixture
def released(tmp_path: Path) -> Callable[[Inputs], Path]:
    def make(inputs: Inputs) -> Path:
        out = tmp_path / "out"
        out.mkdir()
        release.run(inputs, release.ReleaseConfig(recipe=RECIPE, pairs=()), out, local_context(tmp_path / "context"))
        return out

    return make


def test_a_release_is_whole(inputs: Inputs, released: Callable[[Inputs], Path]):
    out = released(inputs)
    assert {path.name for path in (out / "model").iterdir()} == set(release.WEIGHTS)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["recipe"]["name"] == "small"
    assert manifest["made_from"] == {name: content_digest(list_files(folder)) for name, folder in inputs.items()}
    assert len(manifest["gates"]) == 3
    findings = release.check(out)
    assert [finding.name for finding in findings] == list(release.STAGE.check_names)
    assert all(finding.passed for finding in findings)
    card = (out / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: transformers")
    assert "facts_seen.acc" in card


def test_a_changed_file_fails_the_check(inputs: Inputs, released: Callable[[Inputs], Path]):
    out = released(inputs)
    (out / "model" / "config.json").write_text("{ }")
    assert [finding.passed for finding in release.check(out)] == [False, True]


def test_a_scorecard_that_claims_to_have_passed_is_judged_anew(inputs: Inputs, released: Callable[[Inputs], Path]):
    write_scorecard(inputs, scores(0.5, 3.5), passed=True)
    with pytest.raises(VerdictError) as refused:
        released(inputs)
    text = str(refused.value)
    assert "facts_seen.acc = 0.5, must be at least 0.8" in text
    assert "validation.bits_per_byte = 3.5, must be at most 3 " in text
    assert "(below_untrained_by)" in text
    assert refused.value.findings[1]["observed"]["failed"]


def test_scores_of_other_weights_are_refused(inputs: Inputs, released: Callable[[Inputs], Path]):
    (inputs["checkpoint"] / "model.safetensors").write_bytes(SAFETENSORS + b"other")
    with pytest.raises(VerdictError, match=r"another sft checkpoint: model\.safetensors"):
        released(inputs)


def test_a_scorecard_that_names_no_weights_is_refused(inputs: Inputs, released: Callable[[Inputs], Path]):
    write_scorecard(inputs, scores(0.9, 1.5), scored={})
    with pytest.raises(VerdictError, match="another sft checkpoint"):
        released(inputs)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"checkpoints": {}}', '{"checkpoints": {"untrained": 3}}'])
def test_what_is_no_scorecard_is_refused(text: str, inputs: Inputs, released: Callable[[Inputs], Path]):
    (inputs["scorecard"] / "scorecard.json").write_text(text)
    with pytest.raises(VerdictError):
        released(inputs)


def test_a_missing_scorecard_is_refused(inputs: Inputs, released: Callable[[Inputs], Path]):
    (inputs["scorecard"] / "scorecard.json").unlink()
    with pytest.raises(VerdictError, match="no release without a scorecard"):
        released(inputs)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused_gated_or_not(
    value: float, inputs: Inputs, released: Callable[[Inputs], Path]
):
    write_scorecard(inputs, {**scores(0.9, 1.5), "answers.form": {"value": value, "stderr": None, "n": 4}})
    with pytest.raises(VerdictError, match="no scorecard"):
        released(inputs)


def test_a_missing_checkpoint_is_refused(inputs: Inputs, released: Callable[[Inputs], Path]):
    write_scorecard(inputs, {}, checkpoints={"untrained": scores(0.25, 4.0), "sft": scores(0.9, 1.5)})
    with pytest.raises(VerdictError, match="every checkpoint in order"):
        released(inputs)


def test_missing_weights_are_named(inputs: Inputs, released: Callable[[Inputs], Path]):
    (inputs["checkpoint"] / "model.safetensors").unlink()
    with pytest.raises(VerdictError, match=r"no model\.safetensors"):
        released(inputs)


@pytest.mark.parametrize("data", [pickle.dumps({"weight": 1}), b"", b"\xff" * 16])
def test_only_safetensors_are_released(data: bytes, inputs: Inputs, released: Callable[[Inputs], Path]):
    (inputs["checkpoint"] / "model.safetensors").write_bytes(data)
    write_scorecard(inputs, scores(0.9, 1.5))
    with pytest.raises(VerdictError, match="no safetensors file"):
        released(inputs)


def test_another_tokenizer_is_refused(inputs: Inputs, released: Callable[[Inputs], Path]):
    (inputs["tokenizer"] / "tokenizer.json").write_text("other")
    with pytest.raises(VerdictError, match=r"tokenizer\.json of the checkpoint differ"):
        released(inputs)
