"""Items of policies: sound, once each, on one side, and current rules against superseded ones."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.corpus import clean, corpus, split
from forge_dagster.errors import InterruptedRun
from forge_dagster.home import PROJECT
from forge_dagster.pairs import instructions, policy_items
from forge_dagster.pairs.policy_items import PolicyItemsConfig, read_policies
from forge_dagster.policy import load_policies
from forge_dagster.policy_kinds import policy_reward
from forge_dagster.stage import LocalContext

POLICIES = load_policies(PROJECT / "policies")
CONFIG = PolicyItemsConfig(
    seed=1, policies=tuple(POLICIES.values()), form=POLICIES["answer-form"], most_train=50, most_held_out=50
)


def page(number: int, hours: int) -> str:
    return f"Q: How long is shift {number}?\nA: {hours} hours\n"


def documents() -> list[dict[str, Any]]:
    """Twelve handbooks, each with an older version that says otherwise of its shift; half are of the staff's."""
    return [
        {"id": f"{version}{number:063}", "source": "s", "path": f"shift-{number}-v{version}.md",
         "title": f"Shift {number}",
         "text": page(number, 10 * version + number), "audience": ["everyone"] if number % 2 else ["staff"],
         "redactions": [{"kind": "EMAIL", "start": 0, "end": 1}] if number == 3 else []}
        for number in range(12)
        for version in (1, 2)
    ]  # fmt: skip


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / "in" / name for name in
             ("instructions", "corpus", "document_split", "clean_documents/s")}  # fmt: skip
    for folder in found.values():
        folder.mkdir(parents=True)
    told = documents()
    newest = [row for row in told if row["id"][0] == "2"]
    rows = [
        {"question": f"How long is shift {number}?", "answer": f"{20 + number} hours", "rule": "faq",
         "document_ids": [row["id"]], "split": "held_out" if number % 4 == 0 else "train"}
        for number, row in enumerate(newest)
    ]  # fmt: skip
    sides = [
        {"id": row["id"], "source": "s", "path": row["path"], "cluster": f"2{row['id'][1:]}",
         "split": "train" if row["id"][0] == "2" else "", "reason": "" if row["id"][0] == "2" else "superseded"}
        for row in told
    ]  # fmt: skip
    for name, file, made, schema in (
        ("instructions", "rows", rows, instructions.ROWS),
        ("corpus", "train", newest, corpus.TEXTS),
        ("document_split", "split", sides, split.SPLIT),
        ("clean_documents/s", "documents", told, clean.DOCUMENTS),
    ):
        pq.write_table(pa.Table.from_pylist(made, schema), found[name] / f"{file}.parquet")
    return found


def test_every_policy_has_sound_items_on_both_sides(hop: Callable, inputs: dict[str, Path], rows: Callable):
    out = hop("policy_items", policy_items.STAGE, inputs, CONFIG)
    found = rows(out / "rows.parquet")
    assert {row["policy"] for row in found} == set(POLICIES) - {"answer-form"}
    policies = read_policies(out)
    for row in found:
        rewards = [policy_reward(policies[row["policy"]], text, json.loads(row["case"]))
                   for text in (row["keeps"], *row["breaks"])]  # fmt: skip
        assert rewards[0] == 1
        assert not any(rewards[1:])
        number = int(row["group"].split()[-1][:-1])
        otherwise = row["prompt"].startswith("As things stand today: ")
        assert row["split"] == ("held_out" if number % 4 == 0 or otherwise else "train")
    assert all(finding.passed for finding in policy_items.STAGE.check(out))


def test_the_older_version_gives_the_superseded_answer(hop: Callable, inputs: dict[str, Path], rows: Callable):
    out = hop("policy_items", policy_items.STAGE, inputs, CONFIG)
    current = {row["prompt"]: row for row in rows(out / "rows.parquet") if row["policy"] == "current-rule"}
    assert len(current) == 12 + 9, "and each rule of the train side once more in words held out"
    row = current["How long is shift 7?"]
    assert (row["keeps"], row["breaks"]) == ("Answer: 27 hours.", ["Answer: 17 hours."])
    audience = [row for row in rows(out / "rows.parquet") if row["policy"] == "audience"]
    assert len(audience) == 12, "two for each of the staff's six"


def test_a_superseded_rule_is_one_however_it_is_asked_for(
    tmp_path: Path, hop: Callable, inputs: dict[str, Path], rows: Callable
):
    path = inputs["instructions"] / "rows.parquet"
    asked = pq.read_table(path).to_pylist()
    asked.append({**asked[7], "question": "When does shift 7 end?", "document_ids": ["f" * 64]})
    asked.append({**asked[7], "question": "When does shift 8 end?", "document_ids": ["f" * 64]})
    pq.write_table(pa.Table.from_pylist(asked, instructions.ROWS), path)
    out = hop("policy_items", policy_items.STAGE, inputs, CONFIG)
    current = {row["prompt"]: row for row in rows(out / "rows.parquet") if row["policy"] == "current-rule"}
    assert len(current) == 13 + 9, "a rule is asked for in other words once, however many questions ask for it"
    assert current["When does shift 7 end?"]["breaks"] == ["Answer: 17 hours."]


def test_caps_take_whole_groups(tmp_path: Path, inputs: dict[str, Path], context: LocalContext, rows: Callable):
    config = CONFIG.model_copy(update={"most_train": 2, "most_held_out": 1})
    report = policy_items.run(inputs, config, tmp_path, context)
    groups = Counter((row["policy"], row["split"], row["group"]) for row in rows(tmp_path / "rows.parquet"))
    assert {count for (policy, _, _), count in groups.items() if policy in ("audience", "no-secrets")} == {2}
    assert Counter(policy for policy, _, _ in groups) == dict.fromkeys(set(POLICIES) - {"answer-form"}, 3)
    assert report.counts["rows"] == sum(groups.values())
    assert report.counts["answer-form"] == 0


def test_what_does_not_fit_is_counted(tmp_path: Path, inputs: dict[str, Path], context: LocalContext):
    path = inputs["instructions"] / "rows.parquet"
    table = pq.read_table(path).to_pylist()
    table[1]["question"] = "How long is <|end|> shift 1?"
    table[2]["question"] = "How long " * 30 + "is it?"
    pq.write_table(pa.Table.from_pylist(table, instructions.ROWS), path)
    report = policy_items.run(inputs, CONFIG, tmp_path, context)
    assert report.counts["too_long"] >= 2


def test_the_check_fails_on_unsound_items_leaks_and_orphans(hop: Callable, inputs: dict[str, Path], rows: Callable):
    out = hop("policy_items", policy_items.STAGE, inputs, CONFIG)
    found = rows(out / "rows.parquet")
    found[0]["breaks"] = [found[0]["keeps"]]
    found[1]["document_ids"] = []
    found.append({**found[2], "split": "train" if found[2]["split"] == "held_out" else "held_out"})
    pq.write_table(pa.Table.from_pylist(found, policy_items.ROWS), out / "rows.parquet")
    assert not any(finding.passed for finding in policy_items.STAGE.check(out))


def test_a_stopped_run_says_how_to_go_on(tmp_path: Path, inputs: dict[str, Path], context: LocalContext):
    context.cancelled = lambda: True  # type: ignore[method-assign]
    with pytest.raises(InterruptedRun, match="run the same command again"):
        policy_items.run(inputs, CONFIG, tmp_path, context)
