"""Prompts that a model answers by itself to be rewarded: questions with known answers, and items of policies."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from forge_dagster.chance import drawn
from forge_dagster.errors import DataError
from forge_dagster.training.trl_common import text_rows

Row = dict[str, Any]


def prompts(
    inputs: Mapping[str, Path], tokenizer: Any, *, count: int, policy_share: float, room: int, seed: int
) -> list[Row]:
    """`count` chats with what their answers are judged by: `policy`, empty for the form and facts, and its `case`.

    The rows of the train splits in an order that the seed decides, the policies in turn, all again when they end.
    Without policy items every prompt is an instruction. Raises DataError if a prompt has more than `room` tokens.
    """
    asked = [
        _row(row["question"], "", {"answer": row["answer"]})
        for row in text_rows(inputs["instructions"] / "rows.parquet", ("question", "answer"))
        if row["split"] == "train"
    ]
    of_policy: dict[str, list[Row]] = defaultdict(list)
    for row in pq.read_table(inputs["policy_items"] / "rows.parquet").to_pylist():
        if row["split"] == "train":
            of_policy[row["policy"]].append(_row(row["prompt"], row["policy"], json.loads(row["case"])))
    ruled = round(count * policy_share) if of_policy else 0
    shuffled = [_shuffled(of_policy[name], seed) for name in sorted(of_policy)]
    chosen = [*islice(_in_turn(shuffled), ruled), *islice(cycle(_shuffled(asked, seed)), count - ruled)]
    for row in chosen:
        length = len(tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True)["input_ids"])
        if length > room:
            raise DataError(
                f"the prompt {_said(row)[:60]!r} has {length} tokens",
                rule=f"a prompt leaves room for an answer: at most {room} tokens",
                mend="lower max_new_tokens or raise sequence_length of the base stage",
            )
    return chosen


def _row(prompt: str, policy: str, case: Mapping[str, Any]) -> Row:
    return {"prompt": [{"role": "user", "content": prompt}], "policy": policy, "case": json.dumps(case)}


def _said(row: Row) -> str:
    return str(row["prompt"][0]["content"])


def _shuffled(rows: Sequence[Row], seed: int) -> list[Row]:
    return sorted(rows, key=lambda row: (drawn(seed, _said(row)), row["case"]))


def _in_turn(lists: Sequence[Sequence[Row]]) -> Iterator[Row]:
    """One row of each list after the other, for ever."""
    endless = [cycle(rows) for rows in lists]
    return (next(rows) for rows in cycle(endless))
