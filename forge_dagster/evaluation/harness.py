"""lm-eval on a model in memory: tasks from local JSONL, quiet, offline, every error an error."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge_dagster.errors import RecipeError, VerdictError
from forge_dagster.evaluation.score import Score
from forge_dagster.rewards import in_form, is_correct
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


def answers(items: Path, form: str) -> "ConfigurableTask":
    """Task over `question`, `answer`: the greedy reply in the chat, judged for form and content."""

    def judge(doc: Mapping[str, Any], results: Sequence[str]) -> dict[str, float]:
        reply = results[0].strip()
        good = in_form(reply, form)
        return {"form": float(good), "correct": float(good and is_correct(reply, doc["answer"]))}

    return replies("answers", items, judge, {"form": "mean", "correct": "mean"})


def replies(
    name: str, items: Path, judge: Callable[..., dict[str, Any]], metrics: Mapping[str, str | Callable[..., float]]
) -> "ConfigurableTask":
    """Task over `question`: `judge` makes metrics of an item and the greedy reply to it, each aggregated as named."""
    return _task(
        {
            "task": name,
            "output_type": "generate_until",
            "doc_to_text": USER + "{{question}}" + END + ASSISTANT,
            "doc_to_target": "",
            "process_results": judge,
            "generation_kwargs": {"until": [END], "max_gen_toks": ANSWER_TOKENS, "do_sample": False},
            "metric_list": [
                {"metric": metric, "aggregation": aggregation, "higher_is_better": True}
                for metric, aggregation in metrics.items()
            ],
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
            _fits(ANSWER_TOKENS + 1, self.max_length, "an answer after a question")
            return super().generate_until(requests, *arguments, **options)

        def _model_call(self, *arguments: Any, **options: Any) -> "Tensor":
            logits = super()._model_call(*arguments, **options)
            if not logits.isfinite().all():
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


def evaluate(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerBase",
    tasks: Callable[[], Sequence["ConfigurableTask"]],
    *,
    batch_size: int,
    groups: Mapping[str, int] | None = None,
) -> dict[str, Score]:
    """`task.metric` -> score; `groups`: of tasks whose items are judged in groups, how many groups.

    Raises VerdictError if a score is no number, RecipeError if the model is too short."""
    import lm_eval
    from lm_eval.tasks import TaskManager

    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    harness = _language_model(model, tokenizer, batch_size)
    with redirect_stderr(StringIO()):  # progress bars of its own; exceptions pass through
        results = lm_eval.simple_evaluate(
            model=harness,
            tasks=list(tasks()),
            task_manager=TaskManager(include_defaults=False),  # reading its own thousands costs more than the scores
            bootstrap_iters=0,
            log_samples=False,
            verbosity="ERROR",
        )
    if results is None:
        raise VerdictError("lm-eval returned no results", rule="an evaluation ends with scores")
    scores = {}
    for task, values in results["results"].items():
        count = (groups or {}).get(task, results["n-samples"][task]["effective"])
        for name, value in values.items():
            metric, _, kind = name.partition(",")
            if kind != "none" or metric.endswith("_stderr") or not isinstance(value, float):
                continue
            if not math.isfinite(value):
                raise VerdictError(f"{task}.{metric} = {value}", rule="a score is a number", mend=RETRAIN)
            # Standard error of a mean of 0/1 outcomes, as lm-eval's own mean_stderr: sample variance over n.
            error = math.sqrt(value * (1 - value) / (count - 1)) if count > 1 else None
            scores[f"{task}.{metric}"] = Score(value=value, stderr=error, n=count)
    return scores
