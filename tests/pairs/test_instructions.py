"""Instructions come from training documents, once each, and their two sides share no answer."""

import hashlib
import json
import random
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus import corpus
from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.pairs import generate, instructions
from forge_dagster.pairs.extraction import RULES
from forge_dagster.pairs.found import collect
from forge_dagster.pairs.instructions import InstructionsConfig, allotted, held_out
from forge_dagster.stage import LocalContext

CONFIG = InstructionsConfig(seed=1, held_out_share=0.2, most_rows=100, shares=dict.fromkeys((*RULES, "model"), 1.0))


def documents(*texts: str) -> list[dict[str, str]]:
    return [
        {"id": f"{number:064}", "source": "s", "path": f"{number:03}", "title": f"Page {number}", "text": text}
        for number, text in enumerate(texts)
    ]


def corpus_folder(folder: Path, *texts: str) -> Path:
    folder.mkdir()
    pq.write_table(pa.Table.from_pylist(documents(*texts), corpus.TEXTS), folder / "train.parquet")
    return folder


def asked(count: int, start: int = 0) -> str:
    return "".join(f"Q: Where is pump {n}?\nA: In hall {n // 2}\n\n" for n in range(start, start + count))


@pytest.fixture
def made(hop: Callable, tmp_path: Path) -> Path:
    """Instructions of two documents that share ten of their questions."""
    source = corpus_folder(tmp_path / "corpus", asked(40), asked(40, start=30))
    return hop("instructions", instructions.STAGE, {"corpus": source}, CONFIG)


def test_rows_are_unique_short_and_name_every_document(made: Path, rows: Callable):
    found = rows(made / "rows.parquet")
    assert len(found) == 70
    by_question = {row["question"]: row for row in found}
    assert len(by_question) == 70
    assert by_question["Where is pump 35?"]["document_ids"] == [f"{0:064}", f"{1:064}"]
    assert by_question["Where is pump 5?"]["document_ids"] == [f"{0:064}"]
    assert all(row["rule"] == "faq" and "\n" not in row["answer"] for row in found)
    assert all(finding.passed for finding in instructions.STAGE.check(made))


def test_no_answer_is_on_both_sides(made: Path, rows: Callable):
    sides: dict[str, set[str]] = {}
    for row in rows(made / "rows.parquet"):
        sides.setdefault(row["answer"], set()).add(row["split"])
    assert all(len(found) == 1 for found in sides.values())
    assert set().union(*sides.values()) == {"train", "held_out"}


def test_a_question_with_two_answers_is_none(context: LocalContext):
    found = collect(documents("Q: Who leads it?\nA: Ines\n", "Q: Who leads it?\nA: Karel\n", asked(2)), 3, context)
    assert [pair.question for pair in found] == ["Where is pump 0?", "Where is pump 1?"]


def test_the_letterhead_is_no_knowledge(context: LocalContext):
    english = "This is the text of the page, and it is in the language of the house.\n"
    texts = [f"Company: Northmere\nDocument: {n}\nColour {n}: red\n\n{english}" for n in range(12)]
    found = collect(documents(*texts), len(texts), context)
    assert {pair.question.split(" of ")[0] for pair in found} == {f"What is the colour {n}" for n in range(12)}


def test_every_rule_has_its_share(tmp_path: Path, context: LocalContext, rows: Callable):
    topics = "".join(f"# Topic number {n}\n\nThe pump of the hall is in the corner {n}.\n\n" for n in range(30))
    source = corpus_folder(tmp_path / "corpus", topics, asked(20))
    config = CONFIG.model_copy(update={"most_rows": 25})
    report = instructions.run({"corpus": source}, config, tmp_path, context)
    assert report.counts["rows"] == 25
    assert report.counts["found"] == 50
    assert report.counts["faq"] == 13
    assert report.counts["heading-topic"] == 12
    assert report.metrics["share/faq"] == 13 / 25


def test_the_order_of_documents_changes_nothing(context: LocalContext):
    texts = documents(asked(9), asked(9, start=5), "Q: Who leads it?\nA: Ines\n")
    shuffled = texts[:]
    random.Random(3).shuffle(shuffled)
    assert collect(shuffled, len(shuffled), context) == collect(texts, len(texts), context)


@given(st.sets(st.text(min_size=1, max_size=5), min_size=2, max_size=40), st.integers(0, 9))
def test_neither_side_is_ever_empty(groups: set[str], seed: int):
    config = CONFIG.model_copy(update={"seed": seed})
    aside = held_out(groups, config)
    assert aside
    assert aside < groups


@pytest.mark.parametrize("text", [asked(7), "Q: Why {}?\nA: Because\n\n" * 20, "no pair at all"])
def test_too_few_pairs_are_refused(text: str, tmp_path: Path, context: LocalContext):
    source = corpus_folder(tmp_path / "corpus", text)
    with pytest.raises(DataError, match=r"question and answer pairs.*\nRule: at least 8 .*\nMend: add an FAQ"):
        instructions.run({"corpus": source}, CONFIG, tmp_path, context)


def test_the_check_fails_on_leaks_and_orphans(made: Path, rows: Callable):
    path = made / "rows.parquet"
    found = rows(path)
    found[0]["document_ids"] = []
    found[1] |= {"question": found[0]["question"].upper(), "answer": found[0]["answer"]}
    found[1]["split"] = "train" if found[0]["split"] == "held_out" else "held_out"
    pq.write_table(pa.Table.from_pylist(found, instructions.ROWS), path)
    assert [finding.name for finding in instructions.STAGE.check(made) if not finding.passed] == [
        "questions_are_unique",
        "no_answer_is_on_both_sides",
        "rows_name_their_documents",
    ]
    pq.write_table(pa.Table.from_pylist([{**row, "split": "train"} for row in found], instructions.ROWS), path)
    findings = {finding.name: finding.passed for finding in instructions.STAGE.check(made)}
    assert not findings["some_rows_are_held_out"]
    assert tuple(findings) == instructions.STAGE.check_names


def test_the_rows_load_through_datasets(made: Path, tmp_path: Path):
    import datasets

    loaded = datasets.load_dataset(
        "parquet", data_files=str(made / "rows.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.column_names == instructions.ROWS.names
    assert loaded.num_rows == 70


def test_a_stopped_run_says_how_to_go_on(tmp_path: Path, context: LocalContext):
    context.cancelled = lambda: True  # type: ignore[method-assign]
    with pytest.raises(InterruptedRun, match="run the same command again"):
        instructions.run({"corpus": corpus_folder(tmp_path / "corpus", asked(9))}, CONFIG, tmp_path, context)


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(0, 50)),
    st.fixed_dictionaries({kind: st.floats(0.01, 1) for kind in "abcd"}),
    st.integers(1, 120),
)
def test_shares_fill_what_there_is_room_for(available: dict[str, int], shares: dict[str, float], most: int):
    taken = allotted(available, shares, most)
    assert sum(taken.values()) == min(most, sum(available.values()))
    assert all(0 <= taken[kind] <= available[kind] for kind in available)
    short = [kind for kind in available if taken[kind] < available[kind]]
    total = sum(shares.values())
    assert all(taken[kind] >= int(most * shares[kind] / total) for kind in short), "no kind is under its share"


CHAT = '{"messages": [{"role": "user", "content": "%s"}, {"role": "assistant", "content": "%s"}]}\n'


def test_people_come_before_documents_and_documents_before_a_model(
    tmp_path: Path, context: LocalContext, rows: Callable
):
    source = corpus_folder(tmp_path / "corpus", asked(20))
    file = tmp_path / "ours.jsonl"
    file.write_text(CHAT % ("Where is pump 3?", "In the cellar") + CHAT % ("Who are you?", "I am\\nthe house model."))
    written = tmp_path / "written"
    written.mkdir()
    made = [
        {"question": question, "answer": "In hall 77", "quote": "q", "document_id": "d", "generator": "g",
         "prompt_digest": "p"}
        for question in ("Where is pump 4?", "Where is pump 99?")
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(made, generate.ROWS), written / "rows.parquet")
    inputs = {"corpus": source, "given/ours": file, "generated/house": written}
    report = instructions.run(inputs, CONFIG, tmp_path, context)
    found = {row["question"]: row for row in rows(tmp_path / "rows.parquet")}
    assert found["Where is pump 3?"]["answer"] == "In the cellar"
    assert found["Where is pump 4?"]["answer"] == "In hall 2"
    assert found["Who are you?"]["answer"] == "I am\nthe house model."
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert (found["Who are you?"]["rule"], found["Who are you?"]["generator"]) == ("given/ours", digest)
    made_by_model = found["Where is pump 99?"]
    assert [made_by_model[name] for name in ("rule", "document_ids", "generator", "prompt_digest")] == [
        "model/house", ["d"], "g", "p",
    ]  # fmt: skip
    assert len(found["Where is pump 4?"]["generator"]) == 64
    assert (report.counts["given"], report.counts["model"], report.counts["asked_already"]) == (2, 1, 2)
    assert all(finding.passed for finding in instructions.check(tmp_path))


def test_every_answer_of_a_conversation_is_a_row_with_what_came_before(
    tmp_path: Path, context: LocalContext, rows: Callable
):
    said = ["Hello", "Good day", "Where is pump 1?", "In the yard"]
    turns = [{"role": ("user", "assistant")[place % 2], "content": text} for place, text in enumerate(said)]
    file = tmp_path / "ours.jsonl"
    file.write_text(json.dumps({"id": 7, "messages": turns}))
    instructions.run({"corpus": corpus_folder(tmp_path / "c", asked(9)), "given/o": file}, CONFIG, tmp_path, context)
    found = [row for row in rows(tmp_path / "rows.parquet") if row["rule"] == "given/o"]
    assert [(row["question"], row["answer"], row["history"]) for row in found] == [
        ("Hello", "Good day", []),
        ("Where is pump 1?", "In the yard", turns[:2]),
    ]
