"""The lm-eval adapter: scores are lm-eval's own, and the batch size has no say in them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from benchmarks.harness import beginning, plain
from forge_dagster.evaluation.harness import _language_model, evaluate, multiple_choice, replies
from forge_dagster.model.folder import load_model

BATCHES = (1, 8, 32)
SAME = 1e-4
"""Nats by which the log-likelihood of a choice may differ: float32 sums of padded batches, in another order."""


@pytest.fixture(scope="module")
def subject(artifacts: dict[str, Path]) -> tuple[Any, Any]:
    """A model with random weights and its tokenizer."""
    return load_model(artifacts["checkpoint/base"]), AutoTokenizer.from_pretrained(artifacts["tokenizer"])


@pytest.fixture(scope="module")
def choices(artifacts: dict[str, Path]) -> Path:
    return artifacts["domain_benchmark"] / "items/facts_unseen.jsonl"


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions of many lengths, so that batches are padded."""
    path = tmp_path_factory.mktemp("questions") / "questions.jsonl"
    asked = [{"question": f"Who repairs {'the big ' * (number % 5)}pump {number}?"} for number in range(17)]
    path.write_text("".join(json.dumps(item) + "\n" for item in asked))
    return path


def test_choices_do_not_depend_on_the_batch_size(subject: tuple[Any, Any], choices: Path):
    from lm_eval.api.instance import Instance

    items = [json.loads(line) for line in choices.read_text().splitlines()]
    pairs = [(item["query"], f" {choice}") for item in items for choice in item["choices"]]
    requests = [
        Instance(request_type="loglikelihood", doc={}, arguments=pair, idx=number) for number, pair in enumerate(pairs)
    ]
    found = [
        [value for value, _ in _language_model(*subject, size).loglikelihood(requests, disable_tqdm=True)]
        for size in BATCHES
    ]
    right = [evaluate(*subject, multiple_choice("facts", choices, 1), batch_size=size) for size in BATCHES]
    for values, scores in zip(found[1:], right[1:], strict=True):
        assert values == pytest.approx(found[0], abs=SAME)
        assert scores == right[0]
    assert len({item["acc"] for item in right[0]}) == 2, "some are right and some are wrong"


def test_replies_do_not_depend_on_the_batch_size(subject: tuple[Any, Any], questions: Path):
    said: dict[int, list[str]] = {}
    for size in BATCHES:
        texts: list[str] = []

        def judge(doc: Mapping[str, Any], reply: str, texts: list[str] = texts) -> dict[str, float]:
            texts.append(f"{doc['question']} {reply}")
            return {"long": float(len(reply) > 40)}

        evaluate(*subject, replies("replies", questions, judge, ["long"]), batch_size=size)
        said[size] = texts
    assert said[1] == said[8] == said[32]
    assert len(set(said[1])) == 17


def test_scores_are_those_of_lm_eval(subject: tuple[Any, Any], choices: Path, questions: Path):
    model, tokenizer = subject

    def judge(doc: Mapping[str, Any], reply: str) -> dict[str, float]:
        return {"long": float(len(reply) > 40)}

    tasks = {
        "acc": (lambda: multiple_choice("facts", choices, 1), beginning(tokenizer)),
        "long": (lambda: replies("replies", questions, judge, ["long"]), tokenizer),
    }
    for metric, (task, theirs) in tasks.items():
        ours = [item[metric] for item in evaluate(model, tokenizer, task(), batch_size=8)]
        length = model.config.max_position_embeddings
        expected = plain(model, theirs, task, batch_size=8, length=length)
        assert sum(ours) / len(ours) == pytest.approx(expected[metric], abs=1e-6)
