"""Planted dirt: the same seed gives the same bytes, every label is right, and nothing of it belongs to anyone."""

import ipaddress
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from forge_dagster.corpus import check_digits
from forge_dagster.errors import UserError
from forge_dagster.sample.blocks import Document, Paragraph
from forge_dagster.sample.dirt import credentials, personal
from forge_dagster.sample.dirt.marks import mark, unmarked
from forge_dagster.sample.dirt.page import wordings
from forge_dagster.sample.dirt.twins import TWIN, Twins, resemblance
from forge_dagster.sample.draw import Draw
from forge_dagster.sample.generate import generate

DOCUMENTS, DIRT = 600, 0.5
CHECKED = {
    "IBAN": check_digits.iban,
    "CREDIT_CARD": check_digits.payment_card,
    "UK_NINO": check_digits.uk_nino,
    "UK_NHS": check_digits.uk_nhs,
    "DE_TAX_ID": check_digits.german_tax_id,
    "FR_NIR": check_digits.french_nir,
    "ES_DNI": check_digits.spanish_id,
    "IT_FISCAL_CODE": check_digits.italian_fiscal_code,
    "SE_PERSONAL_NUMBER": check_digits.swedish_personal_number,
    "NL_BSN": check_digits.dutch_bsn,
}
NO_ONES = [ipaddress.ip_network(net) for net in ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32")]


@pytest.fixture(scope="module")
def dirty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dirty") / "company"
    report = generate(DOCUMENTS, 7, folder, dirt=DIRT)
    assert report.documents == DOCUMENTS
    return folder


@pytest.fixture(scope="module")
def labels(dirty: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (dirty / "labels.jsonl").read_text(encoding="utf-8").splitlines()]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_the_same_seed_gives_the_same_bytes(dirty: Path, tmp_path: Path):
    generate(DOCUMENTS, 7, tmp_path / "again", dirt=DIRT)
    assert tree(tmp_path / "again") == tree(dirty)


def test_every_document_has_one_label(dirty: Path, labels: list[dict[str, Any]]):
    files = {str(path.relative_to(dirty / "documents")) for path in (dirty / "documents").rglob("*") if path.is_file()}
    assert len(labels) == len(files) == DOCUMENTS
    assert {label["path"] for label in labels} == files
    kinds = Counter(label["kind"] for label in labels)
    planted = {"personal", "secret", "near-duplicate", "superseded", "foreign", "junk", "contaminated", "technical"}
    assert planted <= set(kinds)
    of_the_sample = sum("/archive/" in label["path"] or "-v1." in label["path"] for label in labels)
    of_the_sample -= sum("/manuals/" in label["path"] and "-v1." in label["path"] for label in labels)
    originals = of_the_sample + kinds["clean"]
    assert DOCUMENTS - originals == DOCUMENTS * DIRT


def test_a_labelled_span_is_the_value_in_the_files_text(dirty: Path, labels: list[dict[str, Any]]):
    seen: Counter[str] = Counter()
    for label in labels:
        spans = [*label.get("spans", ()), *label.get("decoys", ())]
        text = (dirty / "documents" / label["path"]).read_bytes().decode() if spans else ""
        for span in spans:
            assert text[span["start"] : span["end"]] == span["value"], (label["path"], span)
            seen[span["kind"]] += 1
        for line in label.get("boilerplate", ()):
            assert line in (dirty / "documents" / label["path"]).read_text(encoding="utf-8"), label["path"]
    assert set(personal.VALUES) <= set(seen)
    assert {*credentials.VALUES, *credentials.ANNOUNCED} <= set(seen)
    assert len(personal.VALUES) >= 15
    assert len(credentials.VALUES) >= 20


def test_other_documents_that_labels_name_are_there(labels: list[dict[str, Any]]):
    paths = {label["path"] for label in labels}
    for label in labels:
        for key in ("duplicate_of", "superseded_by"):
            assert label.get(key) is None or (label[key] in paths and label[key] != label["path"])


def test_planted_items_are_in_their_documents(dirty: Path, labels: list[dict[str, Any]]):
    lines = (dirty / "benchmark.jsonl").read_text(encoding="utf-8").splitlines()
    items = {item["id"]: item for item in map(json.loads, lines)}
    planted = [label for label in labels if label["kind"] == "contaminated"]
    assert planted
    for label in planted:
        item = items[label["item"]]
        assert len(item["question"].split()) >= 13
        if label["how"] == "verbatim" and label["path"].endswith((".md", ".html")):
            text = (dirty / "documents" / label["path"]).read_text(encoding="utf-8")
            assert f"{item['question']} {item['answer']}" in text


@pytest.mark.parametrize("kind", personal.VALUES)
def test_values_are_right_by_form_and_belong_to_no_one(kind: str):
    locales = [name for name, words in wordings("personal").items() if kind in words["labels"]]
    assert locales
    draw = Draw("test", kind)
    for number in range(60):
        locale = locales[number % len(locales)]
        value = personal.VALUES[kind](draw, locale)
        assert CHECKED.get(kind, bool)(value), value
        if kind == "EMAIL":
            assert re.search(r"@(?:\w+\.)*example(?:\.(?:com|org|net|co\.uk))?$", value), value
        if kind == "IP_ADDRESS":
            address = ipaddress.ip_address(value)
            assert address.is_private or any(address.version == net.version and address in net for net in NO_ONES)
        if kind == "BIC":
            assert value[7] == "0", "the location code of a test BIC"


def test_marks_leave_no_trace():
    text, spans = unmarked(f"a {mark('X', 'bc')} d {mark('Y', 'e')}")
    assert text == "a bc d e"
    assert [(span.kind, text[span.start : span.end]) for span in spans] == [("X", "bc"), ("Y", "e")]


def test_a_twin_is_one_document_and_a_rewritten_one_is_two():
    twins = Twins(Draw("twins"))
    for number in range(20):
        document = twins.fresh(f"Manual {number}")
        assert resemblance(document, twins.twin(document)) >= TWIN
        assert 0.2 < resemblance(document, twins.rewritten(document)) < 0.78
    assert (
        resemblance(Document("a", (), (Paragraph("b c d e f g"),)), Document("a", (), (Paragraph("q r s t u v"),))) == 0
    )


@pytest.mark.parametrize("dirt", [-0.1, 0.61, 1.0])
def test_a_share_out_of_range(tmp_path: Path, dirt: float):
    with pytest.raises(UserError, match="share of planted documents"):
        generate(20, 1, tmp_path / "out", dirt=dirt)


def test_without_dirt_there_are_no_labels(tmp_path: Path):
    generate(20, 1, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["documents", "facts.jsonl"]
