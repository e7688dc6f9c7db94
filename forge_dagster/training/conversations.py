"""Conversations as token ids with the loss on what the assistant says alone; and packed, several in one row."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from transformers import PreTrainedModel

from forge_dagster.errors import DataError
from forge_dagster.tokens.control import PAD_ID
from forge_dagster.tokens.encoding import encode_chat, load_encoder
from forge_dagster.tokens.order import Span
from forge_dagster.training.batches import IGNORED
from forge_dagster.training.cost import Cost
from forge_dagster.training.trl_common import text_rows


class Taught(NamedTuple):
    """Examples (input_ids, labels) and how many conversations did not fit."""

    examples: list[dict[str, list[int]]]
    too_long: int


def taught(instructions: Path, tokenizer: Path, template: str, max_length: int) -> Taught:
    """The train split of instructions, each answer in the form of `template` unless people wrote the conversation.

    Raises DataError if none has at most `max_length` tokens.
    """
    encoder, examples, too_long = load_encoder(tokenizer), [], 0
    rows = text_rows(instructions / "rows.parquet", ("question", "answer"))
    for row in rows:
        if row["split"] != "train":
            continue
        is_given = row.get("rule", "").startswith("given/")
        answer = row["answer"] if is_given else template.replace("{answer}", row["answer"].rstrip(". "))
        before = [{"role": turn["role"], "content": turn["content"]} for turn in row.get("history") or []]
        asked = [*before, {"role": "user", "content": row["question"]}]
        turns = [*asked, {"role": "assistant", "content": answer}]
        prompt, whole = encode_chat(encoder, asked, answer_next=True), encode_chat(encoder, turns)
        if len(whole) <= max_length:
            examples.append({"input_ids": whole, "labels": [IGNORED] * len(prompt) + whole[len(prompt) :]})
        else:
            too_long += 1
    if not examples:
        raise DataError(
            f"no conversation of at most {max_length} tokens among {len(rows)} instructions",
            rule="max_length holds a question and its answer",
            mend="raise max_length in the recipe",
        )
    return Taught(examples, too_long)


def epoch_cost(model: PreTrainedModel, told: Taught) -> tuple[int, int]:
    """Tokens and floating-point operations of one epoch over the conversations, padding not counted."""
    lengths = [len(example["input_ids"]) for example in told.examples]
    return sum(lengths), Cost(model).of([[Span(0, 0, length) for length in lengths]])


def pack(examples: Sequence[dict[str, list[int]]], length: int) -> list[dict[str, list[int]]]:
    """Lay conversations side by side in rows of at most `length` tokens, the longest first, each into the fullest row
    that has room (best-fit decreasing); `position_ids` begin at 0 in each."""
    rows: list[dict[str, list[int]]] = []
    by_room: dict[int, list[dict[str, list[int]]]] = defaultdict(list)
    row: dict[str, list[int]]
    for example in sorted(examples, key=lambda each: -len(each["input_ids"])):
        size = len(example["input_ids"])
        room = next((room for room in range(size, length) if by_room[room]), None)
        if room is None:
            room, row = length, {"input_ids": [], "labels": [], "position_ids": []}
            rows.append(row)
        else:
            row = by_room[room].pop(0)
        row["input_ids"] += example["input_ids"]
        row["labels"] += example["labels"]
        row["position_ids"] += range(size)
        by_room[room - size].append(row)
    return rows


def collate_packed(rows: Sequence[dict[str, list[int]]]) -> dict[str, Tensor]:
    """Tensors [rows, longest]; from the positions transformers makes the mask that keeps conversations apart.

    It does so if no mask is given (training/batches.py). The end of a short row counts from 0 too, as one more
    conversation, which is not scored.
    """
    length = max(len(row["input_ids"]) for row in rows)

    def padded(name: str, fill: Any) -> Tensor:
        return torch.tensor([row[name] + fill(length - len(row[name])) for row in rows])

    return {
        "input_ids": padded("input_ids", lambda count: [PAD_ID] * count),
        "labels": padded("labels", lambda count: [IGNORED] * count),
        "position_ids": padded("position_ids", lambda count: list(range(count))),
    }
