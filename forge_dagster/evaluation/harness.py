"""lm-eval on a model in memory: tasks from local JSONL, quiet, offline, every error an error."""

import importlib.metadata
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge_dagster.errors import DataError, RecipeError, VerdictError
from forge_dagster.tokens.control import ASSISTANT, END, END_OF_TEXT_ID, USER

if TYPE_CHECKING:
    from lm_eval.api.task import ConfigurableTask
    from lm_eval.models.huggingface import HFLM
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

RETRAIN = "train the checkpoint again with a lower learning rate"
ANSWER_TOKENS = 48
"""Longest answer that is generated, in tokens."""


def multiple_choice(name: str, items: Path, version: int) -> "ConfigurableTask":
    """Task over `query`, `choices`, `gold`: the choice of the highest log-likelihood counts."""
    return _task(
        {
            "task": name,
            "output_type": "multiple_choice",
            "doc_to_text": "query",  # columns as they are: a template would turn a query of digits into a number
            "doc_to_choice": "choices",
            "doc_to_target": "gold",
            "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
            "metadata": {"version": version},
        },
        items,
    )


def replies(
    name: str, items: Path, judge: Callable[[Mapping[str, Any], str], dict[str, float]], metrics: Sequence[str]
) -> "ConfigurableTask":
    """Task over `question`: `judge` makes the metrics of an item and the greedy reply to it in the chat."""

    def process(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
        return judge(doc, results[0].strip())

    return _task(
        {
            "task": name,
            "output_type": "generate_until",
            "doc_to_text": USER + "{{question}}" + END + ASSISTANT,
            "doc_to_target": "",
            "process_results": process,
            "generation_kwargs": {"until": [END], "max_gen_toks": ANSWER_TOKENS, "do_sample": False},
            "metric_list": [{"metric": metric, "aggregation": "mean", "higher_is_better": True} for metric in metrics],
            "metadata": {"version": 1},
        },
        items,
    )


def _task(config: dict[str, Any], items: Path) -> "ConfigurableTask":
    from lm_eval.api.task import ConfigurableTask

    local = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(items)}},
        "test_split": "test",
        "num_fewshot": 0,
        "target_delimiter": " " if config["output_type"] == "multiple_choice" else "",
    }
    return ConfigurableTask(config={**config, **local})


def own_task(config: Mapping[str, Any]) -> "ConfigurableTask":
    """Task of a configuration that was validated as data."""
    from lm_eval.api.task import ConfigurableTask

    return ConfigurableTask(config=dict(config))


def _language_model(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", batch_size: int) -> "HFLM":
    """lm-eval's HFLM that reads text as training did, and refuses logits that are no numbers.

    Text begins after `<|end_of_text|>` and cannot become a control token. HFLM itself takes the argmax over NaN
    and reports an accuracy.
    """
    from lm_eval.models.huggingface import HFLM
    from tokenizers import Tokenizer

    encoder = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    encoder.encode_special_tokens = True

    class LanguageModel(HFLM):
        def tok_encode(self, string: str, add_special_tokens: bool | None = None, **options: Any) -> list[int]:
            ids = encoder.encode(string, add_special_tokens=False).ids
            return ids if add_special_tokens is False else [END_OF_TEXT_ID, *ids]

        def _loglikelihood_tokens(self, requests: list[Any], *arguments: Any, **options: Any) -> list[Any]:
            _fits(max(len(continuation) for _, _, continuation in requests), self.max_length, "a choice")
            return super()._loglikelihood_tokens(requests, *arguments, **options)

        def generate_until(self, requests: list[Any], *arguments: Any, **options: Any) -> list[str]:
            asked = max(request.args[1]["max_gen_toks"] for request in requests)
            _fits(asked + 1, self.max_length, "an answer after a question")
            return super().generate_until(requests, *arguments, **options)

        def _model_call(self, *arguments: Any, **options: Any) -> "Tensor":
            logits = super()._model_call(*arguments, **options)
            if not logits.sum().isfinite():  # one that is no number makes the sum none; a look at each costs 6 %
                raise VerdictError("the model's logits are not all numbers", rule="a score is a number", mend=RETRAIN)
            return logits

    return LanguageModel(
        pretrained=model,
        tokenizer=tokenizer,
        batch_size=batch_size,
        device="cpu",
        max_length=model.config.max_position_embeddings,
    )


def _fits(tokens: int, length: int, what: str) -> None:
    if tokens > length:
        raise RecipeError(
            f"{what} takes {tokens} tokens, the model reads {length}",
            rule="the benchmark fits into one sequence",
            mend="raise sequence_length of the base stage",
        )


def how(batch_size: int) -> dict[str, Any]:
    """Settings of a task that lm-eval asks."""
    return {
        "harness": f"lm-eval {importlib.metadata.version('lm-eval')}",
        "batch_size": batch_size,
        "dtype": "float32",
        "few_shot": 0,
        "decoding": "greedy",
    }


def read_items(path: Path) -> list[dict[str, Any]]:
    """Items of a JSONL file. Raises DataError if it is missing or broken."""
    try:
        return [json.loads(line) for line in path.read_bytes().splitlines()]
    except (OSError, ValueError) as error:
        raise DataError(f"{path} holds no items: {error}", rule="one JSON object a line") from error


def evaluate(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerBase", task: "ConfigurableTask", *, batch_size: int
) -> list[dict[str, float]]:
    """Metric -> value of each item of the task, in order.

    Raises VerdictError if the model's output is no number, RecipeError if it is too short for an item.
    """
    # simple_evaluate goes on to ask git and pip about the machine, which takes longer than a small task.
    from lm_eval.evaluator import evaluate as evaluated

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    harness, name = _language_model(model, tokenizer, batch_size), task.config.task
    with redirect_stderr(StringIO()):  # progress bars of its own; exceptions pass through
        results = evaluated(harness, {"tasks": {name: task}, "groups": {}}, bootstrap_iters=0, log_samples=True)
    if results is None:
        raise VerdictError("lm-eval returned no results", rule="an evaluation ends with scores")
    samples = results["samples"][name]
    return [
        {metric: float(sample[metric]) for metric in sample["metrics"]}
        for sample in sorted(samples, key=lambda sample: sample["doc_id"])
    ]


def loglikelihoods(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    asked: Sequence[tuple[str, str]],
    *,
    batch_size: int,
) -> list[tuple[float, bool]]:
    """Of each text after its context: the sum of log p, and whether greedy decoding gives it.

    Raises VerdictError if the model's output is no number.
    """
    harness = _language_model(model, tokenizer, batch_size)
    with redirect_stderr(StringIO()):
        found = harness.loglikelihood([_request("loglikelihood", pair) for pair in asked], disable_tqdm=True)
    return [(float(value), bool(greedy)) for value, greedy in found]


def continuations(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    prompts: Sequence[str],
    *,
    tokens: int,
    batch_size: int,
) -> list[str]:
    """Greedy text after each prompt. Raises VerdictError if the model's output is no number."""
    harness = _language_model(model, tokenizer, batch_size)
    how_long = {"until": [], "max_gen_toks": tokens, "do_sample": False}
    with redirect_stderr(StringIO()):
        found: list[str] = harness.generate_until(
            [_request("generate_until", (prompt, dict(how_long))) for prompt in prompts], disable_tqdm=True
        )
    return found


def _request(kind: str, arguments: tuple[Any, ...]) -> Any:
    from lm_eval.api.instance import Instance

    return Instance(request_type=kind, doc={}, arguments=arguments, idx=0)
