"""Preferences: the right answer in form against a bare or a wrong one."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.pairs import instructions, policy_items, preferences
from forge_dagster.pairs.preferences import PreferencesConfig
from forge_dagster.policy import Policy
from forge_dagster.policy_kinds import policy_settings
from forge_dagster.stage import LocalContext

POLICY = Policy(
    name="answer-form",
    kind="answer_form",
    description="short",
    settings={"template": "Answer: {answer}.", "form": r"Answer: [^\n]{1,60}\."},
)
FORM = policy_settings(POLICY)
CONFIG = PreferencesConfig(seed=1, policy=POLICY, most_rows=1000, policy_share=0.25)


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "question": f"Where is pump {number}?",
        "answer": f"In hall {number % 7}.",
        "rule": "faq" if number % 2 else "record",
        "document_ids": [f"{number:064}"],
        "split": "held_out" if number % 5 == 0 else "train",
        **changes,
    }


def folder(path: Path, rows: list[dict[str, Any]], items: Sequence[dict[str, Any]] = ()) -> dict[str, Path]:
    for name, found, schema in (
        ("instructions", rows, instructions.ROWS),
        ("policy_items", items, policy_items.ROWS),
    ):
        (path / name).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(list(found), schema), path / name / "rows.parquet")
    return {name: path / name for name in ("instructions", "policy_items")}


@pytest.fixture
def given_rows() -> list[dict[str, Any]]:
    return [row(number) for number in range(60)]


def test_both_rules_make_true_pairs_of_training_rows(
    hop: Callable, tmp_path: Path, rows: Callable, given_rows: list[dict[str, Any]]
):
    out = hop("preferences", preferences.STAGE, folder(tmp_path / "in", given_rows), CONFIG)
    known = {each["question"]: each for each in given_rows}
    found = rows(out / "rows.parquet")
    assert len(found) == 2 * sum(each["split"] == "train" for each in given_rows)
    for pair in found:
        source = known[pair["prompt"]]
        assert source["split"] == "train"
        assert pair["chosen"] == FORM.apply(source["answer"])
        assert FORM.holds(pair["chosen"])
        assert pair["document_ids"] == source["document_ids"]
        if pair["rule"] == "form":
            assert pair["rejected"] == source["answer"]
            assert not FORM.holds(pair["rejected"])
        else:
            assert FORM.holds(pair["rejected"])
            assert pair["rejected"] != pair["chosen"]
    assert all(finding.passed for finding in preferences.STAGE.check(out))


def test_a_wrong_fact_was_found_by_the_same_rule(
    hop: Callable, tmp_path: Path, rows: Callable, given_rows: list[dict[str, Any]]
):
    for each in given_rows:
        each["answer"] = f"{each['rule']} {each['answer']}"
    out = hop("preferences", preferences.STAGE, folder(tmp_path / "in", given_rows), CONFIG)
    rule_of = {each["question"]: each["rule"] for each in given_rows}
    facts = [pair for pair in rows(out / "rows.parquet") if pair["rule"] == "fact"]
    assert all(pair["rejected"].startswith(f"Answer: {rule_of[pair['prompt']]} ") for pair in facts)


def test_an_answer_that_cannot_take_the_form_gives_no_pair(
    hop: Callable, tmp_path: Path, rows: Callable, given_rows: list[dict[str, Any]]
):
    given_rows[1]["answer"] = "long " * 20
    out = hop("preferences", preferences.STAGE, folder(tmp_path / "in", given_rows), CONFIG)
    assert given_rows[1]["question"] not in {pair["prompt"] for pair in rows(out / "rows.parquet")}


def test_the_cap_keeps_a_fixed_choice(
    tmp_path: Path, context: LocalContext, rows: Callable, given_rows: list[dict[str, Any]]
):
    inputs = folder(tmp_path / "in", given_rows)
    config = CONFIG.model_copy(update={"most_rows": 20})
    outs = [tmp_path / "first", tmp_path / "second"]
    for out in outs:
        out.mkdir()
        report = preferences.run(inputs, config, out, context)
        assert report.counts["rows"] == 20
        assert report.counts["form"] + report.counts["fact"] == 20
    assert (outs[0] / "rows.parquet").read_bytes() == (outs[1] / "rows.parquet").read_bytes()


def test_too_few_pairs_are_refused(tmp_path: Path, context: LocalContext, given_rows: list[dict[str, Any]]):
    inputs = folder(tmp_path / "in", [{**each, "split": "held_out"} for each in given_rows])
    with pytest.raises(DataError, match=r"0 pairs\nRule: at least 8, .*\nMend: add documents"):
        preferences.run(inputs, CONFIG, tmp_path, context)


def test_the_check_fails_on_a_pair_that_prefers_nothing(
    hop: Callable, tmp_path: Path, rows: Callable, given_rows: list[dict[str, Any]]
):
    out = hop("preferences", preferences.STAGE, folder(tmp_path / "in", given_rows), CONFIG)
    found = rows(out / "rows.parquet")
    found[0]["rejected"] = found[0]["chosen"]
    found[1]["document_ids"] = []
    pq.write_table(pa.Table.from_pylist(found, preferences.ROWS), out / "rows.parquet")
    findings = preferences.STAGE.check(out)
    assert tuple(finding.name for finding in findings) == preferences.STAGE.check_names
    assert not any(finding.passed for finding in findings)


def test_the_rows_load_through_datasets(hop: Callable, tmp_path: Path, given_rows: list[dict[str, Any]]):
    import datasets

    out = hop("preferences", preferences.STAGE, folder(tmp_path / "in", given_rows), CONFIG)
    loaded = datasets.load_dataset(
        "parquet", data_files=str(out / "rows.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.column_names == ["prompt", "chosen", "rejected", "rule", "document_ids"]


def test_a_stopped_run_says_how_to_go_on(tmp_path: Path, context: LocalContext, given_rows: list[dict[str, Any]]):
    context.cancelled = lambda: True  # type: ignore[method-assign]
    with pytest.raises(InterruptedRun, match="run the same command again"):
        preferences.run(folder(tmp_path / "in", given_rows), CONFIG, tmp_path, context)


def item(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "policy": "terms",
        "prompt": f"How long is shift {number}?",
        "case": "{}",
        "keeps": f"Answer: {number} hours.",
        "breaks": [f"Answer: {number} hrs.", f"Answer: {number} h."],
        "document_ids": [f"{number:064}"],
        "split": "held_out" if number % 5 == 0 else "train",
        "group": str(number),
        **changes,
    }


def report_of(inputs: dict[str, Path], out: Path, context: LocalContext, **changes: Any) -> dict[str, int]:
    return dict(preferences.run(inputs, CONFIG.model_copy(update=changes), out, context).counts)


def test_policies_have_the_share_that_is_declared(
    tmp_path: Path, context: LocalContext, rows: Callable, given_rows: list[dict[str, Any]]
):
    inputs = folder(tmp_path / "in", given_rows, [item(number) for number in range(60)])
    counts = report_of(inputs, tmp_path, context, most_rows=40)
    assert (counts["rows"], counts["policy/terms"], counts["form"] + counts["fact"]) == (40, 10, 30)
    found = [row for row in rows(tmp_path / "rows.parquet") if row["rule"] == "policy/terms"]
    assert {row["chosen"].split()[2] for row in found} == {"hours."}
    assert all(int(row["prompt"].split()[-1][:-1]) % 5 for row in found), "held-out items are not trained on"


def test_without_items_the_other_pairs_take_their_place(
    tmp_path: Path, context: LocalContext, given_rows: list[dict[str, Any]]
):
    counts = report_of(folder(tmp_path / "in", given_rows), tmp_path, context, most_rows=40)
    assert (counts["rows"], counts["form"] + counts["fact"]) == (40, 40)


def test_pairs_of_people_are_kept_whole_and_name_their_file(
    tmp_path: Path, context: LocalContext, rows: Callable, given_rows: list[dict[str, Any]]
):
    file = tmp_path / "ours.jsonl"
    line = '{"prompt": "Hello?", "chosen": "Good day.", "rejected": "Yo."}\n'
    file.write_text(line + line + line.replace("Yo", "What"))
    inputs = {**folder(tmp_path / "in", given_rows), "given/ours": file}
    counts = report_of(inputs, tmp_path, context, most_rows=10)
    assert (counts["rows"], counts["given/ours"], counts["twice"]) == (12, 2, 1)
    given = [row for row in rows(tmp_path / "rows.parquet") if row["rule"] == "given/ours"]
    assert {row["rejected"] for row in given} == {"Yo.", "What."}
    assert {tuple(row["document_ids"]) for row in given} == {(hashlib.sha256(file.read_bytes()).hexdigest(),)}


def test_what_is_no_preference_is_counted(
    tmp_path: Path, context: LocalContext, rows: Callable, given_rows: list[dict[str, Any]]
):
    same = item(1, breaks=["Answer: 1 hours.", "Answer: 1 hrs."])
    given_rows[1]["answer"] = "long " * 20
    counts = report_of(folder(tmp_path / "in", given_rows, [same]), tmp_path, context)
    assert (counts["same_answers"], counts["policy/terms"], counts["out_of_form"]) == (1, 1, 1)
    assert all(row["chosen"] != row["rejected"] for row in rows(tmp_path / "rows.parquet"))
