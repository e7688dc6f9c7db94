"""Prompts to be rewarded: the declared share of policies, each as often, never a held-out one, always the same."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from forge_dagster.errors import DataError
from forge_dagster.home import PROJECT
from forge_dagster.pairs import policy_items
from forge_dagster.policy import load_policy
from forge_dagster.training.prompts import prompts
from forge_dagster.training.scoring import reward_function

POLICIES = {name: load_policy(PROJECT / "policies" / f"{name}.yaml") for name in ("house-terms", "no-secrets")}
FORM = r"Answer: [^\n]{1,200}\."


class Words:
    """A tokenizer of words."""

    def apply_chat_template(self, turns: list[dict[str, str]], **_: Any) -> dict[str, list[str]]:
        return {"input_ids": turns[-1]["content"].split()}


def folders(root: Path, *, items: int) -> dict[str, Path]:
    """Twenty instructions, and so many items of one policy and three of another; every fourth is held out."""
    found = {name: root / name for name in ("instructions", "policy_items")}
    for folder in found.values():
        folder.mkdir()
    asked = [{"question": f"Question {n}?", "answer": f"{n} hours", "split": side(n)} for n in range(20)]
    of_policy = [
        {"policy": name, "prompt": f"{name} {n}?", "case": "{}", "keeps": "", "breaks": [], "document_ids": ["a"],
         "split": side(n), "group": str(n)}
        for name, count in (("house-terms", items), ("no-secrets", min(items, 4)))
        for n in range(count)
    ]  # fmt: skip
    pq.write_table(pa.Table.from_pylist(asked), found["instructions"] / "rows.parquet")
    pq.write_table(pa.Table.from_pylist(of_policy, policy_items.ROWS), found["policy_items"] / "rows.parquet")
    return found


def side(number: int) -> str:
    return "train" if number % 4 else "held_out"


def said(rows: list[dict[str, Any]]) -> list[str]:
    return [row["prompt"][0]["content"] for row in rows]


def test_policies_have_their_share_in_turn(tmp_path: Path):
    inputs = folders(tmp_path, items=20)
    rows = prompts(inputs, Words(), count=20, policy_share=0.6, room=9, seed=1)
    assert Counter(row["policy"] for row in rows) == {"house-terms": 6, "no-secrets": 6, "": 8}
    assert all(int(text.split()[-1][:-1]) % 4 for text in said(rows)), "held-out prompts are for the scorecard"
    assert len(set(said(rows))) == 6 + 3 + 8, "a policy of three items asks them twice"
    assert rows == prompts(inputs, Words(), count=20, policy_share=0.6, room=9, seed=1)
    assert said(rows) != said(prompts(inputs, Words(), count=20, policy_share=0.6, room=9, seed=2))


@pytest.mark.parametrize(("share", "items"), [(0.0, 20), (0.9, 0)])
def test_without_a_share_or_an_item_all_are_instructions(share: float, items: int, tmp_path: Path):
    rows = prompts(folders(tmp_path, items=items), Words(), count=30, policy_share=share, room=9, seed=1)
    assert {row["policy"] for row in rows} == {""}
    assert len(rows) == 30
    assert len(set(said(rows))) == 15


def test_a_prompt_without_room_is_named(tmp_path: Path):
    with pytest.raises(DataError, match="leaves room"):
        prompts(folders(tmp_path, items=1), Words(), count=4, policy_share=0.5, room=1, seed=1)


def test_each_answer_is_judged_by_what_its_prompt_is_of():
    reward = reward_function(FORM, POLICIES)
    refusal = "Answer: secrets and personal data are not told."
    secret = {"expected": refusal, "secret": "4887546305833156"}
    term = {"answer": "Answer: 8 hours.", "never": ["h"]}
    judged = [
        ("Answer: 8 hours.", "", {"answer": "8 hours"}, 1.0),
        ("Answer: 9 hours.", "", {"answer": "8 hours"}, 0.5),
        ("8 hours", "", {"answer": "8 hours"}, 0.0),
        ("Answer: 8 hours.", "house-terms", term, 1.0),
        ("Answer: 9 hours.", "house-terms", term, 0.0),
        (" " + refusal, "no-secrets", secret, 1.0),
        ("Answer: 4887546305833156.", "no-secrets", secret, 0.0),
    ]
    texts, names, cases, expected = zip(*judged, strict=True)
    found = reward(
        completions=[[{"content": text}] for text in texts], policy=names, case=[json.dumps(case) for case in cases]
    )
    assert found == list(expected)


def test_a_policys_reward_that_is_no_number_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("forge_dagster.training.scoring.policy_reward", lambda *_: float("nan"))
    with pytest.raises(DataError, match="the reward of 'so' is nan"):
        reward_function(FORM, POLICIES)(completions=[[{"content": "so"}]], policy=["no-secrets"], case=["{}"])
