import gc
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest

from forge_dagster.corpus.formats import format_of, formats
from forge_dagster.errors import UserError
from forge_dagster.sample.generate import MOST_DOCUMENTS, SampleReport, generate, units
from forge_dagster.sample.library import write
from forge_dagster.sample.voice import Statement
from forge_dagster.sample.world import Unit
from forge_dagster.source import load_source

ROOT = Path(__file__).parents[2]


def _tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def _text(path: Path) -> str:
    return " ".join(formats()[str(format_of(path.name))].parse(path.read_bytes()).text.split())


def test_the_repository_holds_what_the_generator_writes(sample):
    assert _tree(sample.folder) == _tree(ROOT / "data" / "sample")


def test_source_file_points_at_it():
    placed = load_source(ROOT / "sources" / "sample.yaml")
    assert placed.location == str(ROOT / "data" / "sample" / "documents")
    assert placed.facts == ROOT / "data" / "sample" / "facts.jsonl"
    assert placed.canaries == ROOT / "data" / "sample" / "canaries.yaml"


def test_another_seed_is_another_organisation(tmp_path):
    for seed in (1, 2):
        generate(20, seed, tmp_path / str(seed))
    assert not set(_tree(tmp_path / "1").values()) & set(_tree(tmp_path / "2").values())


def test_report_counts_what_was_written(sample):
    files = _tree(sample.folder / "documents")
    assert sample.report == SampleReport(
        documents=len(files),
        facts=len(sample.facts),
        bytes=sum(map(len, files.values())),
        formats=dict(sorted(Counter(name.rpartition(".")[2] for name in files).items())),
    )
    assert len(files) == 300
    assert set(sample.report.formats) == {"html", "md", "pdf", "txt"}
    assert 150 <= len(sample.facts) <= 250


def test_every_document_can_be_read_back_and_states_its_facts(sample):
    paths = {path for fact in sample.facts for path in fact["documents"]}
    texts = {path: _text(sample.folder / "documents" / path) for path in sorted(paths)}
    for fact in sample.facts:
        assert len(fact["documents"]) >= 6
        assert len({path.split("/")[-1].split("-")[0] for path in fact["documents"]}) >= 4, "kinds of documents"
        for path in fact["documents"]:
            assert fact["answer"].lower() in texts[path].lower(), (fact["id"], path)
        stated = f"{fact['seen']} {fact['answer']}"
        assert any(stated in texts[path] for path in fact["documents"]), stated
        assert not any(fact["unseen"] in text or fact["question"] in text for text in texts.values())


def test_choices_are_of_one_type_and_say_nothing_by_themselves(sample):
    answers, distractors = Counter(), Counter()
    for fact in sample.facts:
        choices = [fact["answer"], *fact["distractors"]]
        assert len(set(choices)) == 4
        answers[fact["relation"], fact["answer"]] += 1
        distractors.update((fact["relation"], other) for other in fact["distractors"])
    assert set(answers.values()) == {1}, "each value of a relation is the answer of exactly one subject"
    assert set(distractors) <= set(answers), "every distractor is the answer of another subject"


def test_the_commonest_choice_is_right_no_more_often_than_by_chance(sample):
    corpus = " ".join(_text(path) for path in sorted((sample.folder / "documents").rglob("*")) if path.is_file())
    counts = {fact["answer"]: corpus.count(fact["answer"]) for fact in sample.facts}
    right = sum(
        max((fact["answer"], *fact["distractors"]), key=lambda choice: counts[choice]) == fact["answer"]
        for fact in sample.facts
    )
    assert right / len(sample.facts) < 0.35


def test_each_fact_is_told_in_many_words_and_many_documents():
    documents, wordings = Counter(), {}
    for written in write(Unit(1, 0, 6, 12), 300, "the company"):
        documents.update({statement.fact.id for statement in written.told})
        for statement in written.told:
            wordings.setdefault(statement.fact.id, set()).add(statement.wording)
    assert min(documents.values()) >= 12
    assert min(map(len, wordings.values())) >= 20


def test_ids_are_unique_and_a_subject_has_one_answer_to_a_relation(sample):
    assert len({fact["id"] for fact in sample.facts}) == len(sample.facts)
    assert len({(fact["subject"], fact["relation"]) for fact in sample.facts}) == len(sample.facts)


def test_nothing_of_a_unit_is_held_once_the_next_begins(tmp_path, monkeypatch):
    statements = []

    def watched(unit, documents, company):
        gc.collect()
        statements.append(sum(isinstance(held, Statement) for held in gc.get_objects()))
        return write(unit, documents, company)

    monkeypatch.setattr("forge_dagster.sample.generate.write", watched)
    generate(900, 3, tmp_path / "out")
    assert len(statements) == 3
    assert max(statements) < 200, "statements of the last document at most; a unit makes thousands"


def test_no_folder_grows_beyond_five_thousand_entries():
    shares = [count for _, count in units(MOST_DOCUMENTS, 1)]
    assert sum(shares) == MOST_DOCUMENTS
    assert len(shares) <= 5000
    assert max(shares) <= 5000


def test_no_two_subjects_of_the_largest_organisation_share_a_name():
    names: Counter[str] = Counter()
    for unit, _ in islice(units(MOST_DOCUMENTS, 1), 0, None, 17):
        names.update(subject.name for subject in unit.subjects)
    assert names.most_common(1)[0][1] == 1


@pytest.mark.parametrize("documents", [20, 47, 99])
def test_any_number_of_documents_is_met_exactly(tmp_path, documents):
    seen = []
    report = generate(documents, 5, tmp_path / "out", lambda done, total: seen.append((done, total)))
    assert report.documents == documents == len(_tree(tmp_path / "out" / "documents"))
    assert seen == [(done, documents) for done in range(1, documents + 1)]


@pytest.mark.parametrize(("documents", "seed"), [(19, 1), (0, 1), (MOST_DOCUMENTS + 1, 1), (20, -1), (20, 2**31)])
def test_out_of_range(tmp_path, documents, seed):
    with pytest.raises(UserError, match=r"Rule: .*\nMend: "):
        generate(documents, seed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_never_writes_into_a_folder_in_use(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="not empty"):
        generate(20, 1, tmp_path)
    with pytest.raises(UserError, match="not a folder"):
        generate(20, 1, tmp_path / "mine.txt")
    assert _tree(tmp_path) == {"mine.txt": b"keep"}
