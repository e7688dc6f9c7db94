"""The lm-eval adapter against plain lm_eval.simple_evaluate over HFLM: the same task, model, batches and scores.

`python -m benchmarks harness [--rounds 5] [--clock cpu]`. Plain HFLM gets what ours does by itself: a tokenizer that
begins a text with `<|end_of_text|>`, and no reading of lm-eval's own thousands of task files.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

from benchmarks._table import paired, show
from benchmarks._training import CLOCK_HELP, CLOCKS, VOCABULARY, shape
from forge_dagster.home import PROJECT

FACTS = PROJECT / "data" / "sample" / "facts.jsonl"
FORM = r"[\s\S]*[aeiou][\s\S]{0,6}"
"""A form that a model without training meets now and then, so that there is a score to compare."""
QUESTIONS = 40
POSITIONS = 256
BATCH = 64
SAME = 1e-6
TARGET = 0.95


def _items(folder: Path) -> dict[str, Path]:
    """The sample company's facts as choices and as questions."""
    facts = [json.loads(line) for line in FACTS.read_text(encoding="utf-8").splitlines()]
    orders = [sorted([fact["answer"], *fact["distractors"]]) for fact in facts]
    made = {
        "facts": [
            {"query": fact["unseen"], "choices": choices, "gold": choices.index(fact["answer"])}
            for fact, choices in zip(facts, orders, strict=True)
        ],
        "answers": [{"question": fact["question"], "answer": fact["answer"]} for fact in facts[:QUESTIONS]],
    }
    for name, rows in made.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return {name: folder / f"{name}.jsonl" for name in made}


def _model(folder: Path) -> tuple[Any, Any]:
    """The model of tiny-dense with random weights, and a tokenizer of the sample company."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    import torch
    from transformers import AutoTokenizer

    from forge_dagster.model.build import build_model
    from forge_dagster.recipe import TokenizerSpec
    from forge_dagster.stage import local_context
    from forge_dagster.tokens import tokenizer

    texts = [path.read_text(encoding="utf-8") for path in sorted((PROJECT / "data/sample").rglob("*.md"))]
    pq.write_table(
        pa.Table.from_pylist([{"source": "sample", "language": "en", "text": text} for text in texts]),
        folder / "train.parquet",
    )
    spec = TokenizerSpec(kind="byte-bpe", vocab_size=VOCABULARY)
    tokenizer.run({"corpus": folder}, spec, folder, local_context(folder / "context"))
    model = build_model(shape(), vocab_size=VOCABULARY, positions=POSITIONS, seed=1)
    torch.manual_seed(0)
    with torch.no_grad():  # fresh from the start it is the identity and every choice is as likely
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return model.eval(), AutoTokenizer.from_pretrained(folder, local_files_only=True)


def plain(model: Any, tokenizer: Any, task: Callable[[], Any], *, batch_size: int, length: int) -> dict[str, float]:
    """Scores of one task by lm_eval alone; a text begins with the token that ends the one before it."""
    import lm_eval
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    with redirect_stderr(StringIO()):
        results = lm_eval.simple_evaluate(
            model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=batch_size, device="cpu", max_length=length),
            tasks=[task()],
            task_manager=TaskManager(include_defaults=False),
            bootstrap_iters=0,
            log_samples=False,
            verbosity="ERROR",
        )
    assert results is not None, "rank 0 has results"
    values = next(iter(results["results"].values()))
    return {name.partition(",")[0]: value for name, value in values.items() if isinstance(value, float)}


def beginning(tokenizer: Any) -> Any:
    """A copy of the tokenizer that puts `<|end_of_text|>` before a text by itself."""
    import copy

    from tokenizers.processors import TemplateProcessing

    from forge_dagster.tokens.control import END_OF_TEXT, END_OF_TEXT_ID

    told = copy.deepcopy(tokenizer)
    told.backend_tokenizer.post_processor = TemplateProcessing(
        single=f"{END_OF_TEXT} $A", special_tokens=[(END_OF_TEXT, END_OF_TEXT_ID)]
    )
    return told


def main(*options: str) -> None:
    """Print seconds of both, their ratio, the throughput against the target and the largest difference of a score."""
    import datasets

    from forge_dagster.evaluation.harness import evaluate, multiple_choice, replies
    from forge_dagster.rewards import in_form, is_correct

    parser = argparse.ArgumentParser(prog="python -m benchmarks harness", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall", help=CLOCK_HELP)
    given = parser.parse_args(options)
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        datasets.config.HF_DATASETS_CACHE = folder / "datasets"
        items = _items(folder)
        model, tokenizer = _model(folder)

        def judge(doc: Mapping[str, Any], reply: str) -> dict[str, float]:
            return {"form": float(in_form(reply, FORM)), "correct": float(is_correct(reply, doc["answer"]))}

        # Chat prompts are text with marks, which both read through the tokenizer as it is.
        cases = {
            "multiple choice": (lambda: multiple_choice("facts", items["facts"], 1), beginning(tokenizer)),
            "generate until": (lambda: replies("answers", items["answers"], judge, ("form", "correct")), tokenizer),
        }
        rows, apart = [], 0.0
        for case, (task, theirs) in cases.items():

            def ours(task: Callable[[], Any] = task) -> dict[str, float]:
                results = evaluate(model, tokenizer, task(), batch_size=BATCH)
                return {metric: statistics.fmean(item[metric] for item in results) for metric in results[0]}

            def other(task: Callable[[], Any] = task, theirs: Any = theirs) -> dict[str, float]:
                return plain(model, theirs, task, batch_size=BATCH, length=POSITIONS)

            found, expected = ours(), other()  # imports, caches of datasets
            assert found.keys() == expected.keys(), (found, expected)
            apart = max(apart, *(abs(found[metric] - expected[metric]) for metric in found))
            print(f"{case}: {found}")
            rows.append((case, *paired(ours, other, given.rounds, CLOCKS[given.clock])))
        show(f"lm-eval adapter, batches of {BATCH}, {given.clock} time", rows, peer="lm_eval")
        for case, *_, ratios in rows:
            print(f"{case}: {1 / statistics.median(ratios):.2f} of plain throughput (target {TARGET})")
        print(f"largest difference of a score: {apart:.1e} (target {SAME:.0e})")
        assert apart <= SAME, "the adapter scores as lm-eval does"
