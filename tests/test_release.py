"""The release: what it holds, whom it names, and what is no whole checkpoint of known terms."""

import hashlib
import json
import pickle
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml
from release_case import GOOD, RECIPE, SAFETENSORS, Candidate

from forge_dagster import release
from forge_dagster.errors import VerdictError
from forge_dagster.override import Override
from forge_dagster.provenance.files import content_digest, list_files
from forge_dagster.recipe import Limits, Recipe
from forge_dagster.release import WEIGHTS, Pairs

POOR = {**GOOD, "sft": {"facts_seen.acc": 0.5, "validation.bits_per_byte": 3.5}}


def override(metric: str, checkpoint: str = hashlib.sha256(SAFETENSORS).hexdigest(), **changes: Any) -> Override:
    values = {"reason": "the pilot needs it on Monday", "by": "Ada", "approved_by": "Grace", "made": date(2026, 11, 24)}
    return Override.model_validate({"metric": metric, "checkpoint": checkpoint, **values, **changes})


def test_a_release_holds_what_it_names(candidate: Candidate):
    out = candidate.release()
    manifest = json.loads((out / "manifest.json").read_text())
    names = {*(f"model/{name}" for name in WEIGHTS), "scorecard.json", "items.parquet", "README.md"}
    assert set(manifest["files"]) == names
    for name, digest in manifest["files"].items():
        assert hashlib.sha256((out / name).read_bytes()).hexdigest() == digest
    assert Recipe.model_validate(manifest["recipe"]) == RECIPE
    assert [gate["outcome"] for gate in manifest["gates"]] == ["passed"] * 3
    made_from = {name: content_digest(list_files(folder)) for name, folder in candidate.inputs.items()}
    assert manifest["made_from"] == made_from
    label = manifest["data"].pop("label")
    assert (label["sensitivity"], label["licences"], label["audience"]) == ("public", ["internal"], ["everyone"])
    assert manifest["data"] == {
        "documents": 5,
        "documents_by_source": {"office": 2, "plant": 3},
        "documents_by_licence": {"internal": 5},
        "documents_by_sensitivity": {"public": 5},
        "pairs": [],
    }
    findings = release.check(out)
    assert [finding.name for finding in findings] == list(release.STAGE.check_names)
    assert all(finding.passed for finding in findings)


def test_the_model_card_has_metadata_scores_and_limits(candidate: Candidate):
    _, metadata, text = (candidate.release() / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(metadata)["library_name"] == "transformers"
    assert "| facts_seen.acc | 0.250 ± 0.069 | 0.850 ± 0.057 | 0.900 ± 0.048 |" in text
    assert "- passed: facts_seen.acc = 0.9, must be at least 0.8 (minimum)" in text
    assert "## Limits" in text
    assert "3 from plant" in text
    assert "strictest terms of its documents: public; for everyone; permitted use training;" in text
    assert "under the law of EU." in text
    assert "- sensitivity: forced by 5 documents of office, plant, such as plant/0.txt" in text


def test_terms_above_the_limits_of_the_recipe_keep_it_back(tmp_path: Path):
    limited = RECIPE.model_copy(update={"limits": Limits(sensitivity="internal", audience=("sales",))})
    held = Candidate(tmp_path / "held", limited)
    held.write_corpus(sensitivity="confidential", audience=["board"])
    with pytest.raises(VerdictError, match=r"sensitivity above internal: 5 documents of office, plant \(plant/0.txt"):
        held.release()
    within = Candidate(tmp_path / "within", limited)
    within.write_corpus(sensitivity="internal", audience=["board", "sales"])
    assert "internal; for board, sales;" in (within.release() / "README.md").read_text()


def test_every_failed_gate_is_named(candidate: Candidate):
    candidate.score(POOR)
    with pytest.raises(VerdictError) as caught:
        candidate.release()
    assert "facts_seen.acc = 0.5, must be at least 0.8" in str(caught.value)
    assert "validation.bits_per_byte = 3.5, must be at most 3 (below_untrained_by)" in str(caught.value)
    assert "validation.bits_per_byte = 3.5, must be at most 3 (maximum)" in str(caught.value)
    assert len(caught.value.findings[1]["observed"]["failed"]) == 3
    assert not list((candidate.root / "out").iterdir())


def test_two_people_may_override_and_the_card_names_them(candidate: Candidate):
    candidate.score(POOR)
    candidate.override(override("facts_seen.acc"), override("validation.bits_per_byte"), override("other.acc"))
    out = candidate.release()
    text = (out / "README.md").read_text()
    assert "- facts_seen.acc: the pilot needs it on Monday (Ada, approved by Grace, 2026-11-24)" in text
    assert "- failed: facts_seen.acc = 0.5" in text
    assert "other.acc" not in text
    assert len(json.loads((out / "manifest.json").read_text())["overrides"]) == 2
    assert all(finding.passed for finding in release.check(out))


@pytest.mark.parametrize(
    "given",
    [
        (override("facts_seen.acc"),),  # the other gate fails too
        (override("facts_seen.acc"), override("validation.bits_per_byte", "0" * 64)),  # of other weights
        (),
    ],
)
def test_what_nobody_answers_for_is_refused(candidate: Candidate, given: tuple[Override, ...]):
    candidate.score(POOR)
    candidate.override(*given)
    with pytest.raises(VerdictError, match=r"validation\.bits_per_byte = 3\.5"):
        candidate.release()


@pytest.mark.parametrize(
    "stated",
    [
        (),  # a file that somebody wrote by hand
        (override("facts_seen.acc"),),
        (override("facts_seen.acc"), override("validation.bits_per_byte", by="Eve")),
        (override("facts_seen.acc"), override("validation.bits_per_byte", "0" * 64)),
    ],
)
def test_an_override_that_the_ledger_does_not_state_is_refused(candidate: Candidate, stated: tuple[Override, ...]):
    candidate.score(POOR)
    candidate.override(*stated)
    candidate.overrides = (override("facts_seen.acc"), override("validation.bits_per_byte"))
    with pytest.raises(VerdictError, match=r"the ledger has no override of .*validation\.bits_per_byte") as refusal:
        candidate.release()
    assert "forge override" in refusal.value.mend
    assert not list((candidate.root / "out").iterdir())


def test_an_override_of_another_recipe_or_in_a_forged_ledger_is_refused(candidate: Candidate):
    candidate.score(POOR)
    candidate.overrides = given = (override("facts_seen.acc"), override("validation.bits_per_byte"))
    for each in given:
        candidate.ledger.append("override", {"recipe": "other", **each.model_dump(mode="json")})
    with pytest.raises(VerdictError, match="the ledger has no override"):
        candidate.release()
    candidate.ledger.path.write_text(candidate.ledger.path.read_text().replace('"other"', '"small"'))
    (candidate.root / "out").rmdir()
    with pytest.raises(VerdictError, match="chain is broken"):
        candidate.release()


@pytest.mark.parametrize(
    "changes", [{"approved_by": " ADA "}, {"approved_by": ""}, {"by": " "}, {"reason": "because"}, {"reason": ""}]
)
def test_an_override_needs_a_reason_and_a_second_person(changes: dict[str, str]):
    with pytest.raises(ValueError, match="Override"):
        override("facts_seen.acc", **changes)


def test_documents_of_unknown_licence_are_never_released(candidate: Candidate):
    candidate.write_corpus(licence="unknown")
    with pytest.raises(VerdictError, match="licence of source office, plant is unknown") as refusal:
        candidate.release()
    assert "--licence" in refusal.value.mend


def test_pairs_are_named_with_their_terms(candidate: Candidate):
    candidate.pairs = (
        Pairs(name="helpdesk", kind="chat", licence="internal"),
        Pairs(name="ranked", kind="preference", licence="CC-BY-4.0"),
    )
    out = candidate.release()
    assert "Pairs: helpdesk (chat, internal), ranked (preference, CC-BY-4.0)." in (out / "README.md").read_text()
    assert [each["name"] for each in json.loads((out / "manifest.json").read_text())["data"]["pairs"]] == [
        "helpdesk", "ranked",
    ]  # fmt: skip


def test_pairs_of_unknown_licence_are_never_released(candidate: Candidate):
    candidate.pairs = (Pairs(name="web", kind="chat", licence="unknown"),)
    with pytest.raises(VerdictError, match="the licence of pairs web is unknown"):
        candidate.release()


def _further(candidate: Candidate, licence: str) -> None:
    weights = {"name": "open", "location": "model.gguf", "origin": "https://example.org", "licence": licence}
    changes = {
        "model": None,
        "weights": weights,
        "tokenizer": {"kind": "inherited", "domain_tokens": 0},
        "stages": [{"stage": "continued", "settings": {}}],
    }
    candidate.recipe = Recipe.model_validate(RECIPE.model_dump() | changes)
    candidate.score({"untrained": GOOD["untrained"], "continued": GOOD["base"]})


def test_a_model_from_open_weights_names_them(candidate: Candidate):
    _further(candidate, "MIT")
    assert "Continued from open, https://example.org, licence MIT." in (candidate.release() / "README.md").read_text()


def test_open_weights_of_unknown_licence_are_never_released(candidate: Candidate):
    _further(candidate, "unknown")
    with pytest.raises(VerdictError, match="licence of the open weights open is unknown"):
        candidate.release()


@pytest.mark.parametrize("harm", ["change", "add", "remove"])
def test_check_finds_harm(candidate: Candidate, harm: str):
    out = candidate.release()
    weights = out / "model" / "model.safetensors"
    if harm == "remove":
        weights.unlink()
    else:
        (weights if harm == "change" else out / "model" / "another").write_text("other")
    assert [finding.passed for finding in release.check(out)] == [False, True]


def test_missing_files_are_named(candidate: Candidate):
    (candidate.inputs["checkpoint"] / "generation_config.json").unlink()
    with pytest.raises(VerdictError, match=r"no generation_config\.json"):
        candidate.release()


@pytest.mark.parametrize("data", [pickle.dumps({"weight": 1}), b"", b"\xff" * 16])
def test_only_safetensors_are_released(candidate: Candidate, data: bytes):
    (candidate.inputs["checkpoint"] / "model.safetensors").write_bytes(data)
    candidate.score(GOOD)
    with pytest.raises(VerdictError, match="no safetensors file"):
        candidate.release()
