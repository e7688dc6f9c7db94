"""A model that reads too little for the benchmark: one clear message, no assertion of a library."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from forge_dagster.errors import RecipeError
from forge_dagster.evaluation.harness import evaluate, multiple_choice, replies
from forge_dagster.model.folder import load_model


def test_a_choice_or_an_answer_that_does_not_fit_is_named(artifacts: dict[str, Path], tmp_path: Path):
    model = load_model(artifacts["checkpoint/base"])
    model.config.max_position_embeddings = 16
    tokenizer = AutoTokenizer.from_pretrained(artifacts["tokenizer"])
    items = artifacts["domain_benchmark"] / "items/next_sentence.jsonl"
    (tmp_path / "answers.jsonl").write_text('{"question": "Who?", "answer": "plant 1"}\n')
    with pytest.raises(RecipeError, match=r"a choice takes \d+ tokens, the model reads 16"):
        evaluate(model, tokenizer, multiple_choice("next_sentence", items, 1), batch_size=8)
    task = replies("answers", tmp_path / "answers.jsonl", lambda doc, reply: {"form": 1.0}, ["form"])
    with pytest.raises(RecipeError, match="an answer after a question takes 49 tokens"):
        evaluate(model, tokenizer, task, batch_size=8)
