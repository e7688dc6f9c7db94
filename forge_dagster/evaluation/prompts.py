"""What an arm of a comparison is asked: the benchmark and held-out questions, with passages where it retrieves.

An item keeps its name whatever stands before its question, so that the answers of two arms can be paired.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from forge_dagster.comparison import Arm, Comparison
from forge_dagster.errors import RecipeError
from forge_dagster.evaluation.answers import NAME as ANSWERS
from forge_dagster.evaluation.answers import answer_task, questions, write_items
from forge_dagster.evaluation.choices import choice_task
from forge_dagster.evaluation.harness import ANSWER_TOKENS, read_items
from forge_dagster.evaluation.held_out import validation
from forge_dagster.evaluation.measure import Measuring, Task
from forge_dagster.evaluation.retrieval import Passages, with_passages
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.tokens.encoding import load_encoder

TOKENS = "tokens"
"""Metric of a reply: how many tokens it has; a cost, not a merit."""
FRAME = 4
"""Control tokens around a question in the chat; before a text stands one."""


class Asked(NamedTuple):
    """A task as one arm is asked it; `prompt_tokens` is the mean of an item, its choices or the marks of the chat too.

    `holds_answer` is the share of items whose right answer stands, word for word, in the passages; null without them.
    """

    task: Task
    prompt_tokens: float
    holds_answer: float | None


class Prompts:
    """Makes the tasks of arms from the same items: those whose every choice any of the tokenizers gets into the budget.

    `left_out` counts the others by task.
    """

    def __init__(
        self,
        inputs: Mapping[str, Path],
        config: Measuring,
        comparison: Comparison,
        encoders: Sequence[Tokenizer],
        work: Path,
    ) -> None:
        self._inputs, self._config, self._work = inputs, config, work
        self._budget = comparison.inference_tokens
        self._tasks: list[tuple[Mapping[str, Any], list[dict[str, Any]]]] = []
        self.left_out: dict[str, int] = {}
        benchmark = inputs["domain_benchmark"]
        for task in json.loads((benchmark / "benchmark.json").read_bytes())["tasks"]:
            items = read_items(benchmark / task["items"])
            fitting = [item for item in items if all(self._fits(encoder, item) for encoder in encoders)]
            if len(fitting) < len(items):
                self.left_out[task["name"]] = len(items) - len(fitting)
            if fitting:
                self._tasks.append((task, fitting))
        retrieves = any(arm.retrieval for arm in comparison.arms)
        self._passages = Passages(inputs["corpus"], comparison.retrieval) if retrieves else None

    def of(self, arm: Arm, folder: Path, positions: int) -> list[Asked]:
        """Every task of an arm whose model and tokenizer lie in `folder` and that reads `positions` tokens.

        Raises RecipeError if the model reads fewer tokens than the budget or a question alone passes it.
        """
        if positions < self._budget:
            raise RecipeError(
                f"{arm.name}: the model reads {positions} tokens, the budget of an answer is {self._budget}",
                rule="every arm may use the whole budget",
                mend=f"set inference_tokens to {positions} or less, or raise sequence_length of the base stage",
            )
        encoder = load_encoder(folder)
        asked = [self._choices(arm, encoder, task, items) for task, items in self._tasks]
        asked.append(self._answers(arm, encoder))
        if not arm.retrieval:  # a document is its own context
            asked += [Asked(task, 0.0, None) for task in validation(self._inputs, self._config, self._work)]
        return asked

    def _fits(self, encoder: Tokenizer, item: Mapping[str, Any]) -> bool:
        return all(1 + _size(encoder, f" {choice}") <= self._budget for choice in item["choices"])

    def _choices(
        self, arm: Arm, encoder: Tokenizer, task: Mapping[str, Any], items: Sequence[Mapping[str, Any]]
    ) -> Asked:
        sizes = [[_size(encoder, f" {choice}") for choice in item["choices"]] for item in items]
        rooms = [self._budget - 1 - max(size) for size in sizes]
        queries = [self._prompt(arm, encoder, item["query"], room) for item, room in zip(items, rooms, strict=True)]
        made = [{**item, "query": query} for item, query in zip(items, queries, strict=True)]
        golds = [item["choices"][item["gold"]] for item in items]
        tokens = [1 + _size(encoder, query) + sum(size) / len(size) for query, size in zip(queries, sizes, strict=True)]
        return Asked(
            choice_task(task["name"], self._write(arm, task["name"], made), task["version"], self._config.batch_size),
            sum(tokens) / len(tokens),
            _held(arm, items, queries, golds, "query"),
        )

    def _answers(self, arm: Arm, encoder: Tokenizer) -> Asked:
        items = questions(self._inputs["instructions"], self._config.most_answers)
        room = self._budget - FRAME - ANSWER_TOKENS
        asked = [self._prompt(arm, encoder, item["question"], room) for item in items]
        made = [{**item, "question": question} for item, question in zip(items, asked, strict=True)]
        path = self._write(arm, ANSWERS, made)
        tokens = [FRAME + _size(encoder, question) for question in asked]
        return Asked(
            answer_task(path, made, self._config, {TOKENS: lambda reply: float(_size(encoder, reply))}),
            sum(tokens) / len(tokens),
            _held(arm, items, asked, [item["answer"] for item in items], "question"),
        )

    def _prompt(self, arm: Arm, encoder: Tokenizer, query: str, room: int) -> str:
        if not arm.retrieval or self._passages is None:
            return query
        return with_passages(query, self._passages.ranked(query), encoder, room)

    def _write(self, arm: Arm, name: str, items: Sequence[Mapping[str, Any]]) -> Path:
        folder = self._work / fingerprint(arm.name)[:16]
        folder.mkdir(exist_ok=True)
        return write_items(folder / f"{name}.jsonl", items)


def _held(
    arm: Arm, items: Sequence[Mapping[str, Any]], prompts: Sequence[str], answers: Sequence[str], key: str
) -> float | None:
    """Share of the prompts whose passages state the answer."""
    if not arm.retrieval:
        return None
    held = [
        answer.lower() in prompt.removesuffix(item[key]).lower()
        for item, prompt, answer in zip(items, prompts, answers, strict=True)
    ]
    return sum(held) / len(held)


def _size(encoder: Tokenizer, text: str) -> int:
    return len(encoder.encode(text, add_special_tokens=False).ids)
