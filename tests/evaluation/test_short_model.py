"""A model that reads too little for the benchmark: one clear message, no assertion of a library."""

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from forge_dagster.errors import RecipeError
from forge_dagster.evaluation.harness import evaluate, multiple_choice, own_task, replies
from forge_dagster.evaluation.own_task import OwnTask
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
    path = tmp_path / "answers.jsonl"
    mine = OwnTask.model_validate(
        {
            "task": "mine",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": path.name}},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "question",
            "doc_to_target": "answer",
            "generation_kwargs": {"max_gen_toks": 16},
            "metric_list": [{"metric": "exact_match"}],
            "metadata": {"version": 1},
        }
    )
    with pytest.raises(RecipeError, match="an answer after a question takes 17 tokens, the model reads 16"):
        evaluate(model, tokenizer, own_task(mine.harness_config({"test": path})), batch_size=8)
