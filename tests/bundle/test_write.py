"""What a bundle holds: the same bytes twice, formats that their own tools accept, a report that is only text."""

import json
import stat
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mlcroissant
import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from benchmarks._small_release import KEY
from forge_dagster.bundle.drafts import PERSON
from forge_dagster.bundle.facts import gather
from forge_dagster.bundle.verifier.checks import check
from forge_dagster.bundle.verifier.opened import Opened
from forge_dagster.bundle.write import write_bundle
from forge_dagster.errors import IntegrityError, UserError

SIGNATURES = {"model.sig", "seal.json"}


def test_the_same_release_gives_the_same_bytes_but_for_signatures(bundled: Any, tmp_path: Path):
    again = bundled._replace(path=tmp_path / "again.tar")
    write_bundle(bundled.home, KEY, bundled.digest, bundled.ring, bundled.ring.signer("releases"), again.path)
    first, second = bundled.files(), again.files()
    assert list(first) == list(second)
    assert {name for name in first if first[name] != second[name]} <= SIGNATURES


def test_a_release_that_differs_from_its_record_is_not_bundled(bundled_in: Any, tmp_path: Path):
    made = bundled_in(tmp_path)
    weights = made.home.artifacts / KEY / made.digest / "content" / "model" / "model.safetensors"
    weights.chmod(stat.S_IMODE(weights.stat().st_mode) | stat.S_IWUSR)
    weights.write_bytes(b"other")
    made.path.unlink()
    with pytest.raises(IntegrityError, match="differs from its record"):
        write_bundle(made.home, KEY, made.digest, made.ring, made.ring.signer("releases"), made.path)
    assert list(tmp_path.glob("*.tar")) == []


def test_no_key_no_bundle(bundled: Any):
    with pytest.raises(UserError, match="there is no key other"):
        bundled.ring.signer("other")


def test_the_bom_follows_the_schema_of_cyclonedx(bundled: Any):
    text = bundled.files()["exports/bom.cdx.json"].decode()
    validator = JsonStrictValidator(SchemaVersion.V1_6)
    assert validator.validate_str(text) is None
    broken = json.loads(text)
    broken["components"][0]["type"] = "documents"
    assert validator.validate_str(json.dumps(broken)) is not None


def test_the_environment_has_every_distribution_and_follows_the_schema(bundled: Any):
    text = bundled.files()["exports/environment.cdx.json"].decode()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    body = json.loads(text)
    named = {each["name"]: each["version"] for each in body["components"]}
    assert named["cryptography"] == version("cryptography")
    assert len(named) > 50
    assert body["metadata"]["properties"][1]["value"] == "0 of 8", "the steps of the test say another environment"


def test_the_corpus_is_described_as_croissant_wants_it(bundled: Any, tmp_path: Path):
    path = tmp_path / "croissant.json"
    path.write_bytes(bundled.files()["exports/croissant.json"])
    described = mlcroissant.Dataset(path)
    assert described.metadata.issues.errors == set()
    assert [field.name for field in described.metadata.record_sets[0].fields][:2] == ["id", "source"]


def test_the_graph_as_prov_has_every_artifact(bundled: Any):
    prov = json.loads(bundled.files()["exports/prov.json"])
    assert len(prov["wasGeneratedBy"]) == 8
    for relation in ("wasGeneratedBy", "used"):
        for each in prov[relation].values():
            assert each["prov:entity"] in prov["entity"]
            assert each["prov:activity"] in prov["activity"]


def test_the_drafts_hold_figures_and_mark_what_a_person_fills(bundled: Any):
    files = bundled.files()
    for name, figure in (("training-summary", "5 of 6 documents in training"), ("annex-iv", "document_split: dropped")):
        text = files[f"exports/{name}.md"].decode()
        assert PERSON in text
        assert figure in text
    assert "Energy: 8e-05 kWh over 8 of 8 steps (RAPL)" in files["exports/annex-iv.md"].decode()
    assert "jurisdiction EU" in files["exports/training-summary.md"].decode()


def test_documents_add_up(bundled: Any):
    facts = gather(bundled.home, KEY, bundled.digest)
    assert facts.summary["entries"] == 6
    assert facts.summary["outcomes"] == {"dropped": 1, "kept": 5}
    assert facts.summary["removed"] == {"document_split: dropped / superseded": 1}
    assert facts.summary["sources"]["plant"]["train"] == 5


def test_a_copy_of_a_document_has_its_id_and_does_not_take_its_place(bundled_in: Any, tmp_path: Path):
    made = bundled_in(tmp_path, copies=2)
    facts = gather(made.home, KEY, made.digest)
    assert facts.summary["removed"] == {
        "document_split: dropped / superseded": 1,
        "document_split: dropped / exact-duplicate": 2,
    }
    assert facts.summary["sources"]["plant"] | {"documents": 8, "train": 5} == facts.summary["sources"]["plant"]
    assert check(Opened(made.path), [made.kid], []).problems == []


def test_what_documents_say_is_text_in_the_report(bundled_in: Any, tmp_path: Path):
    made = bundled_in(tmp_path, name="<script>alert(1)</script></script><img src=x onerror=alert(1)>")
    page = made.files()["report.html"].decode()
    assert page.count("<script") == 2
    assert "<img" not in page
    assert "\\u003cscript\\u003ealert(1)" in page
