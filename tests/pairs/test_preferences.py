"""Preferences: the right answer in form against a bare or a wrong one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.errors import DataError, InterruptedRun
from forge_dagster.pairs import instructions, preferences
from forge_dagster.pairs.preferences import PreferencesConfig
from forge_dagster.policy import Policy
from forge_dagster.stage import LocalContext

POLICY = Policy(
    name="answer-form",
    kind="answer-form",
    description="short",
    template="Answer: {answer}.",
    form=r"Answer: [^\n]{1,60}\.",
)
CONFIG = PreferencesConfig(seed=1, policy=POLICY, most_rows=1000)


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "question": f"Where is pump {number}?",
        "answer": f"In hall {number % 7}.",
        "rule": "faq" if number % 2 else "key-value",
        "document_ids": [f"{number:064}"],
        "split": "held_out" if number % 5 == 0 else "train",
        **changes,
    }


def folder(path: Path, rows: list[dict[str, Any]]) -> dict[str, Path]:
    path.mkdir()
    pq.write_table(pa.Table.from_pylist(rows, instructions.ROWS), path / "rows.parquet")
    return {"instructions": path}


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
        assert pair["chosen"] == POLICY.apply(source["answer"])
        assert POLICY.holds(pair["chosen"])
        assert pair["document_ids"] == source["document_ids"]
        if pair["rule"] == "form":
            assert pair["rejected"] == source["answer"]
            assert not POLICY.holds(pair["rejected"])
        else:
            assert POLICY.holds(pair["rejected"])
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
    with pytest.raises(DataError, match=r"0 pairs from 0 instructions\nRule: at least 8, .*\nMend: add documents"):
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
