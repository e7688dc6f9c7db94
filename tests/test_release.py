"""The release: what it holds, and that no edited scorecard gets past the gates."""

import copy
import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

from forge_dagster import release
from forge_dagster.errors import VerdictError
from forge_dagster.evaluation.score import scored_digests
from forge_dagster.recipe import Recipe
from forge_dagster.release import WEIGHTS, Pairs, ReleaseConfig
from forge_dagster.stage import local_context
from forge_dagster.tokens.encoding import TOKENIZER_FILES

RECIPE = Recipe.model_validate(
    {
        "name": "small",
        "description": "A small model.",
        "seed": 1,
        "tokenizer": {"kind": "byte-bpe", "vocab_size": 320},
        "model": {
            "architecture": "qwen3", "hidden_size": 16, "intermediate_size": 32, "layers": 1, "heads": 2,
            "kv_heads": 2, "head_dim": 8, "tie_embeddings": False, "rope_theta": 10000,
        },
        "stages": [{"stage": "base", "settings": {}}],
        "gates": [
            {"metric": "facts.acc", "minimum": 0.6},
            {"metric": "validation.bits_per_byte", "below_untrained_by": 1.0},
        ],
    }
)  # fmt: skip
GOOD = {
    "checkpoints": {
        "untrained": {
            "facts.acc": {"value": 0.25, "stderr": 0.04, "n": 100},
            "validation.bits_per_byte": {"value": 4.0, "stderr": None, "n": 1},
        },
        "base": {
            "facts.acc": {"value": 0.8, "stderr": 0.04, "n": 100},
            "validation.bits_per_byte": {"value": 2.0, "stderr": None, "n": 1},
        },
    },
    "gates": [],
    "passed": True,
}


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    folders = {name: tmp_path / name for name in ("checkpoint", "scorecard", "tokenizer", "corpus")}
    for folder in folders.values():
        folder.mkdir()
    for name in WEIGHTS:
        (folders["checkpoint"] / name).write_bytes(
            b"\x02" + bytes(7) + b"{}" if "safetensors" in name else name.encode()
        )
    for name in TOKENIZER_FILES:
        (folders["tokenizer"] / name).write_bytes(name.encode())
    write_corpus(folders["corpus"])
    return folders


def write_corpus(folder: Path, licence: str = "internal") -> None:
    labels = {"licence": licence, "sensitivity": "public"}
    rows = [{"id": str(number), "source": ("plant", "office")[number % 2], **labels} for number in range(5)]
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")


def run(
    inputs: dict[str, Path], tmp_path: Path, body: Any, recipe: Recipe = RECIPE, pairs: tuple[Pairs, ...] = ()
) -> Path:
    if isinstance(body, dict):
        body = {"scored": {"base": scored_digests(inputs["checkpoint"])}, **body}
    (inputs["scorecard"] / "scorecard.json").write_text(body if isinstance(body, str) else json.dumps(body))
    out = tmp_path / "out"
    out.mkdir()
    release.run(inputs, ReleaseConfig(recipe=recipe, pairs=pairs), out, local_context(tmp_path))
    return out


def edited(value: Any, metric: str = "facts.acc", checkpoint: str = "base") -> dict[str, Any]:
    body = copy.deepcopy(GOOD)
    body["checkpoints"][checkpoint][metric]["value"] = value  # type: ignore[index]
    return body


def test_a_release_holds_what_it_names(inputs: dict[str, Path], tmp_path: Path):
    out = run(inputs, tmp_path, GOOD)
    manifest = json.loads((out / "manifest.json").read_text())
    assert set(manifest["files"]) == {*(f"model/{name}" for name in WEIGHTS), "scorecard.json", "README.md"}
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    assert Recipe.model_validate(manifest["recipe"]) == RECIPE
    assert all(gate["passed"] for gate in manifest["gates"])
    assert manifest["data"] == {
        "documents": 5,
        "documents_by_source": {"office": 2, "plant": 3},
        "documents_by_licence": {"internal": 5},
        "documents_by_sensitivity": {"public": 5},
        "pairs": [],
    }
    assert all(finding.passed for finding in release.check(out))


def test_the_model_card_has_metadata_scores_and_limits(inputs: dict[str, Path], tmp_path: Path):
    _, metadata, text = (run(inputs, tmp_path, GOOD) / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(metadata)["library_name"] == "transformers"
    assert "| facts.acc | 0.250 ± 0.040 | 0.800 ± 0.040 |" in text
    assert "## Limits" in text
    assert "3 from plant" in text


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_refused(inputs: dict[str, Path], tmp_path: Path, value: float):
    with pytest.raises(VerdictError, match="no scorecard"):
        run(inputs, tmp_path, edited(value))


@pytest.mark.parametrize("value", [0.59, 0.0])
def test_passed_true_in_an_edited_scorecard_counts_for_nothing(inputs: dict[str, Path], tmp_path: Path, value: float):
    body = {**edited(value), "passed": True, "gates": [{"metric": "facts.acc", "passed": True}]}
    with pytest.raises(VerdictError, match=r"facts\.acc"):
        run(inputs, tmp_path, body)
    assert not list((tmp_path / "out").iterdir())


def test_every_failed_gate_is_named(inputs: dict[str, Path], tmp_path: Path):
    body = edited(0.1)
    body["checkpoints"]["base"]["validation.bits_per_byte"]["value"] = 3.5
    with pytest.raises(VerdictError) as caught:
        run(inputs, tmp_path, body)
    assert "facts.acc = 0.1, must be at least 0.6" in str(caught.value)
    assert "validation.bits_per_byte = 3.5, must be at most 3" in str(caught.value)
    assert len(caught.value.findings[1]["observed"]["failed"]) == 2


def test_gates_are_those_of_the_recipe(inputs: dict[str, Path], tmp_path: Path):
    stricter = RECIPE.model_copy(update={"gates": (RECIPE.gates[0].model_copy(update={"minimum": 0.9}),)})
    with pytest.raises(VerdictError, match=r"at least 0\.9"):
        run(inputs, tmp_path, GOOD, stricter)


@pytest.mark.parametrize(
    "body",
    [
        "no json",
        "[]",
        "{}",
        {"checkpoints": {}},
        {"checkpoints": {"base": GOOD["checkpoints"]["base"]}},  # type: ignore[index]
        {"checkpoints": {**GOOD["checkpoints"], "sft": GOOD["checkpoints"]["base"]}},  # type: ignore[dict-item, index]
        {"checkpoints": dict(reversed(GOOD["checkpoints"].items()))},  # type: ignore[attr-defined]
        {"checkpoints": {"untrained": {}, "base": {}}},
        edited("much"),
        edited(None),
    ],
)
def test_what_is_no_scorecard_of_this_recipe_is_refused(inputs: dict[str, Path], tmp_path: Path, body: Any):
    with pytest.raises(VerdictError):
        run(inputs, tmp_path, body)


def test_documents_of_unknown_licence_are_never_released(inputs: dict[str, Path], tmp_path: Path):
    write_corpus(inputs["corpus"], licence="unknown")
    with pytest.raises(VerdictError, match="licence of source office, plant is unknown") as refusal:
        run(inputs, tmp_path, GOOD)
    assert "--licence" in refusal.value.mend


def test_pairs_are_named_with_their_terms(inputs: dict[str, Path], tmp_path: Path):
    pairs = (
        Pairs(name="helpdesk", kind="chat", licence="internal"),
        Pairs(name="ranked", kind="preference", licence="CC-BY-4.0"),
    )
    out = run(inputs, tmp_path, GOOD, pairs=pairs)
    assert "Pairs: helpdesk (chat, internal), ranked (preference, CC-BY-4.0)." in (out / "README.md").read_text()
    assert [each["name"] for each in json.loads((out / "manifest.json").read_text())["data"]["pairs"]] == [
        "helpdesk", "ranked",
    ]  # fmt: skip


def test_pairs_of_unknown_licence_are_never_released(inputs: dict[str, Path], tmp_path: Path):
    pairs = (Pairs(name="helpdesk", kind="chat", licence="internal"), Pairs(name="web", kind="chat", licence="unknown"))
    with pytest.raises(VerdictError, match="the licence of pairs web is unknown"):
        run(inputs, tmp_path, GOOD, pairs=pairs)
    assert not list((tmp_path / "out").iterdir())


def _further(licence: str) -> Recipe:
    weights = {"name": "open", "location": "model.gguf", "origin": "https://example.org", "licence": licence}
    changes = {
        "model": None,
        "weights": weights,
        "tokenizer": {"kind": "inherited", "domain_tokens": 0},
        "stages": [{"stage": "continued", "settings": {}}],
    }
    return Recipe.model_validate(RECIPE.model_dump() | changes)


def test_a_model_from_open_weights_names_them(inputs: dict[str, Path], tmp_path: Path):
    scores = {"untrained": GOOD["checkpoints"]["untrained"], "continued": GOOD["checkpoints"]["base"]}  # type: ignore[index]
    body = {"checkpoints": scores, "scored": {"continued": scored_digests(inputs["checkpoint"])}}
    card = (run(inputs, tmp_path, body, _further("MIT")) / "README.md").read_text()
    assert "Continued from open, https://example.org, licence MIT." in card


def test_open_weights_of_unknown_licence_are_never_released(inputs: dict[str, Path], tmp_path: Path):
    scores = {"untrained": GOOD["checkpoints"]["untrained"], "continued": GOOD["checkpoints"]["base"]}  # type: ignore[index]
    with pytest.raises(VerdictError, match="licence of the open weights open is unknown"):
        run(inputs, tmp_path, {"checkpoints": scores}, _further("unknown"))


def test_no_scorecard_is_refused(inputs: dict[str, Path], tmp_path: Path):
    with pytest.raises(VerdictError, match="no release without a scorecard"):
        release.run(inputs, ReleaseConfig(recipe=RECIPE, pairs=()), tmp_path, local_context(tmp_path / "context"))


@pytest.mark.parametrize("harm", ["change", "add", "remove"])
def test_check_finds_harm(inputs: dict[str, Path], tmp_path: Path, harm: str):
    out = run(inputs, tmp_path, GOOD)
    weights = out / "model" / "model.safetensors"
    if harm == "remove":
        weights.unlink()
    else:
        (weights if harm == "change" else out / "model" / "another").write_text("other")
    assert not release.check(out)[0].passed
