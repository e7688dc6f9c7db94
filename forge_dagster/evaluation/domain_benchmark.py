"""The domain benchmark: lm-eval tasks made from the sources' facts and from held-out documents, with no model."""

import importlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from forge_dagster.chance import drawn
from forge_dagster.corpus.decontaminate import GRAM
from forge_dagster.errors import DataError
from forge_dagster.evaluation import items as makers
from forge_dagster.evaluation.documents import Documents, read_documents, read_split, stated_by
from forge_dagster.evaluation.guess import Guessed, guessers, judged, limit
from forge_dagster.evaluation.item import Candidate, Item, ItemTask, block_items
from forge_dagster.evaluation.items import current_fact, facts
from forge_dagster.evaluation.reader import Reader
from forge_dagster.evaluation.review import Review, reviewed
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext

VERSION = 2
TOGETHER = 256  # candidates looked up at once
FEWEST = 4  # items of documents that make a task
CHECKS = (
    "items_are_sound",
    "place_of_the_answer_is_balanced",
    "answers_cannot_be_guessed_from_the_choices",
    "decisions_are_on_items",
)


class BenchmarkConfig(FrozenModel):
    """How many items a task has at most, the seed of their choice, and what people decided on them."""

    seed: int
    most_items: int = Field(ge=4)
    review: Review


@cache
def found_by() -> tuple[Any, ...]:
    """Modules that find candidates in held-out documents: the files of forge_dagster/evaluation/items with TASK and
    STATED."""
    folder = Path(makers.__path__[0])
    modules = (importlib.import_module(f"{makers.__name__}.{path.stem}") for path in sorted(folder.glob("[!_]*.py")))
    return tuple(module for module in modules if hasattr(module, "candidates"))


@cache
def tasks() -> dict[str, ItemTask]:
    """Every task there may be, by name."""
    found = [task for module in found_by() for task in (module.TASK, module.STATED) if task]
    return {task.name: task for task in (*facts.TASKS, current_fact.TASK, *found)}


def run(inputs: Mapping[str, Path], config: BenchmarkConfig, out: Path, context: StageContext) -> Report:
    """Write benchmark.json, items/<task>.jsonl, tasks/<task>.yaml and struck.jsonl.

    Raises DataError on a broken fact or edit, or if no item can be made.
    """
    split = read_split(inputs)
    made: dict[str, list[Item]] = {name: [] for name in tasks()}
    counts: Counter[str] = Counter(facts_without_documents=0)
    for name, path in sorted(inputs.items()):
        if name.startswith("facts/"):
            source = name.removeprefix("facts/")
            found, without = facts.fact_items(path, stated_by(split, source))
            counts["facts_without_documents"] += without
            for task, of_task in found.items():
                # Two sources may name their facts alike.
                made[task] += [{**item, "id": f"{source}/{item['id']}"} for item in of_task]
    context.progress(1, 3, "facts")
    documents = read_documents(inputs, split, seed=config.seed)
    context.progress(2, 3, "documents")
    found_items = _found(documents, config)
    counts["of_tasks_with_too_few"] = sum(len(items) for items in found_items.values() if len(items) < FEWEST)
    made |= {name: items for name, items in found_items.items() if len(items) >= FEWEST}
    made, guessable = _unguessable(made, config.seed)
    counts["guessable"] = guessable
    result = reviewed(made, config.review)
    counts["struck"], counts["decisions_on_no_item"] = len(result.struck), len(result.unknown)
    kept = {name: items for name, items in result.items.items() if items}
    if not kept:
        raise DataError(
            f"no benchmark item from {len(documents.material.held_out)} held-out documents",
            rule="a model is judged on at least one item",
            mend="add documents with running text, or a facts file to the source",
        )
    for items in kept.values():
        for item in items:
            item["difficulty"] = _difficulty(item, documents.material.trained)
    _write(out, kept, result.struck, result.unknown)
    return Report(counts={**{name: len(items) for name, items in kept.items()}, **counts})


def _found(documents: Documents, config: BenchmarkConfig) -> dict[str, list[Item]]:
    """Items of documents by task; what training documents state word for word is asked as knowledge, or not at all."""
    trained = documents.material.trained
    result = {
        current_fact.TASK.name: current_fact.current_fact_items(
            documents.versions, seed=config.seed, most=config.most_items
        )
    }
    for module in found_by():
        sides: tuple[list[Candidate], list[Candidate]] = [], []
        found = module.candidates(documents.material)
        while group := list(islice(found, TOGETHER)):
            for each, is_stated in zip(group, trained.may_have_read([each.text for each in group], GRAM), strict=True):
                sides[int(is_stated)].append(each)
        for task, candidates in zip((module.TASK, module.STATED), sides, strict=True):
            if task is not None:
                result[task.name] = block_items(task.name, candidates, seed=config.seed, most=config.most_items)
    return result


def _unguessable(made: Mapping[str, Sequence[Item]], seed: int) -> tuple[dict[str, list[Item]], int]:
    """The items without those that make a guesser better than chance, and how many these are."""
    trained = _others(made)
    kept = {}
    for task, items in made.items():
        left = list(items)
        while left and (worst := max(guessers(left, trained).values(), key=_sum)) and _sum(worst) > limit(left):
            easy = [item["id"] for item in left if worst[item["id"]] > 1 / len(item["choices"])]
            # One at a time would take as many rounds as items; a surplus is about 4/3 of what is above the limit.
            surplus = max(1, int(_sum(worst) - limit(left)))
            gone = set(sorted(easy, key=lambda name: drawn(seed, name))[:surplus])
            left = [item for item in left if item["id"] not in gone]
        kept[task] = left
    return kept, sum(len(made[task]) - len(left) for task, left in kept.items())


def _sum(right: Mapping[str, float]) -> float:
    return math.fsum(right.values())


def _others(made: Mapping[str, Sequence[Item]]) -> Reader:
    """Knows the text of all items: questions, and choices right or wrong."""
    return Reader(
        text for items in made.values() for item in items for text in dict.fromkeys([item["query"], *item["choices"]])
    )


def _difficulty(item: Item, trained: Reader) -> float:
    """Share of the wrong choices that a trigram model of the training text, given the question, likes as well or more.

    From 0 (word counts find the answer) to 1 (they mislead).
    """
    said = [trained.surprise(choice, item["query"]) for choice in item["choices"]]
    wrong = [value for place, value in enumerate(said) if place != item["gold"]]
    return round(sum(value <= said[item["gold"]] for value in wrong) / len(wrong), 3)


def _write(out: Path, kept: Mapping[str, Sequence[Item]], struck: Sequence[Item], unknown: Sequence[str]) -> None:
    (out / "items").mkdir()
    (out / "tasks").mkdir()
    trained = _others(kept)
    listed = []
    for name, items in kept.items():
        task = tasks()[name]
        file = f"items/{name}.jsonl"
        (out / file).write_text(_lines(items), encoding="utf-8")
        (out / "tasks" / f"{name}.yaml").write_text(
            f"# {task.description}\n# From this folder's parent: lm_eval run --include_path tasks --tasks {name} ...\n"
            + yaml.safe_dump(harness_task(name, file), sort_keys=False),
            encoding="utf-8",
        )
        guessed = [each.model_dump() for each in judged(items, trained)]
        listed.append(
            {
                **task.model_dump(),
                "kind": "multiple_choice",
                "items": file,
                "version": VERSION,
                "n": len(items),
                "guessed": guessed,
            }
        )
    (out / "struck.jsonl").write_text(_lines(struck), encoding="utf-8")
    body = {"version": VERSION, "tasks": listed, "struck": len(struck), "decisions_on_no_item": list(unknown)}
    (out / "benchmark.json").write_text(json.dumps(body, indent=1, sort_keys=True), encoding="utf-8")


def harness_task(name: str, file: str) -> dict[str, Any]:
    """A task over `query`, `choices`, `gold` as lm-eval reads it from YAML."""
    return {
        "task": name,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": file}},
        "test_split": "test",
        "output_type": "multiple_choice",
        "num_fewshot": 0,
        "doc_to_text": "query",
        "doc_to_choice": "choices",
        "doc_to_target": "gold",
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": VERSION},
    }


def _lines(items: Sequence[Item]) -> str:
    return "".join(json.dumps(item, ensure_ascii=False, sort_keys=True) + "\n" for item in items)


def read_items(content: Path) -> Iterator[tuple[dict[str, Any], list[Item]]]:
    """Every task of a benchmark with its items."""
    for task in json.loads((content / "benchmark.json").read_bytes())["tasks"]:
        yield task, [json.loads(line) for line in (content / task["items"]).read_bytes().splitlines()]


def check(content: Path) -> list[Finding]:
    """Every item can be answered; neither the place of the right choice nor the choices give it away."""
    found = list(read_items(content))
    every = [item for _, items in found for item in items]
    broken = [
        item["id"]
        for task, items in found
        for item in items
        if len(set(item["choices"])) != task["choices"]
        or len(item["choices"]) != task["choices"]
        or not 0 <= item["gold"] < task["choices"]
        or not item["document_ids"]
    ]
    twice = [name for name, count in Counter(item["id"] for item in every).items() if count > 1]
    sound = bool(every) and not broken and not twice
    places = _places(every)
    trained = _others({task["name"]: items for task, items in found})
    guessed = {task["name"]: judged(items, trained) for task, items in found} if sound else {}
    above = {name: _above(by) for name, by in guessed.items() if _above(by)}
    unknown = json.loads((content / "benchmark.json").read_bytes())["decisions_on_no_item"]
    return [
        Finding(name=CHECKS[0], passed=sound, observed={"broken": broken[:5], "twice": twice[:5]}),
        Finding(name=CHECKS[1], passed=all(fair for _, fair in places.values()), observed={"places": places}),
        Finding(name=CHECKS[2], passed=sound and not above, observed={"above_chance": above}),
        Finding(name=CHECKS[3], passed=not unknown, observed={"unknown": unknown[:20]}, blocking=False),
    ]


def _above(guessed: Sequence[Guessed]) -> list[dict[str, Any]]:
    return [each.model_dump() for each in guessed if not each.at_chance]


def _places(items: Sequence[Item]) -> dict[str, tuple[list[int], bool]]:
    """How often each place is the right one, by the number of choices, and whether that is fair.

    Five standard deviations of a fair draw: a sound benchmark is refused once in a million.
    """
    places: dict[str, tuple[list[int], bool]] = {}
    for size in sorted({len(item["choices"]) for item in items}):
        golds = [item["gold"] for item in items if len(item["choices"]) == size]
        counts = [golds.count(place) for place in range(size)]
        margin = 5 * math.sqrt(len(golds) * (1 / size) * (1 - 1 / size))
        places[str(size)] = counts, all(abs(count - len(golds) / size) <= margin for count in counts)
    return places


STAGE = Stage(run=run, check=check, check_names=CHECKS)
