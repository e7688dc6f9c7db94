"""Canaries and older versions: what is declared stands in the documents, so often as it was meant to."""

from collections import Counter
from pathlib import Path

import pytest
import yaml

from forge_dagster.corpus.formats import format_of, formats
from forge_dagster.corpus.redact import redact
from forge_dagster.corpus.versions import version_of
from forge_dagster.sample.blocks import Document, Pairs, Paragraph, Table, changed
from forge_dagster.sample.canaries import OF_EACH, REPETITIONS
from forge_dagster.sample.generate import generate


@pytest.fixture(scope="module")
def texts(sample) -> dict[str, str]:
    folder = sample.folder / "documents"
    return {
        str(path.relative_to(folder)): " ".join(
            formats()[str(format_of(path.name))].parse(path.read_bytes()).text.split()
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_each_canary_stands_in_as_many_documents_as_it_was_meant_to(sample, texts):
    declared = yaml.safe_load((sample.folder / "canaries.yaml").read_text())
    stated = []
    for canary in declared["canaries"]:
        assert all(
            word in declared["spaces"][space] for word, space in zip(canary["value"], canary["spaces"], strict=True)
        )
        sentence = f"{canary['prefix']} {' '.join(canary['value'])}."
        holders = [path for path, text in texts.items() if sentence in text]
        stated.append(sum("/archive/" not in path and "-v1." not in path for path in holders))
    assert Counter(stated) == dict.fromkeys(REPETITIONS, OF_EACH)


def test_no_canary_looks_like_personal_data_or_a_secret(sample):
    for canary in yaml.safe_load((sample.folder / "canaries.yaml").read_text())["canaries"]:
        sentence = f"{canary['prefix']} {' '.join(canary['value'])}."
        assert redact(sentence, pii=True, secrets=True, names=False) == (sentence, [])


def test_a_small_organisation_has_the_canaries_it_has_room_for(tmp_path: Path):
    generate(20, 4, tmp_path / "out")
    declared = yaml.safe_load((tmp_path / "out" / "canaries.yaml").read_text())
    assert len(declared["canaries"]) == 2 * OF_EACH


def test_an_older_version_states_other_values_of_its_own_subject(sample, texts):
    older = {path for path in texts if "-v1." in path}
    assert len(older) == 6
    for path in older:
        newer = path.replace("-v1.", "-v2.")
        assert version_of(path)[0] == version_of(newer)[0]
        own = [fact for fact in sample.facts if path not in fact["documents"] and newer in fact["documents"]]
        assert own
        assert any(fact["answer"] not in texts[path] for fact in own)


def test_changed_values_are_whole_words_in_every_block():
    document = Document(
        "Pump 72",
        (("Issued", "72 bar"),),
        (Paragraph("At 72 bar, not 172 bar."), Pairs((("Limit", "72 bar"),)), Table(("a",), (("72 bar",),))),
    )
    made = changed(document, {"72 bar": "85 bar"})
    assert made.blocks == (
        Paragraph("At 85 bar, not 172 bar."),
        Pairs((("Limit", "85 bar"),)),
        Table(("a",), (("85 bar",),)),
    )
    assert (made.title, made.particulars) == (document.title, document.particulars)
