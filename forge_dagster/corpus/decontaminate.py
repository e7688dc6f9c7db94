"""Which training documents contain a benchmark item: 13-gram word overlap (Brown et al. 2020, appendix C)."""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from forge_dagster.corpus.words import words

GRAM = 13  # words
SHORTEST = 8  # words; an item between the two is looked for as a whole, a shorter one says too little

Grams = Mapping[int, Mapping[str, str]]
"""Length in words -> gram -> task."""


def grams(found: Sequence[str], size: int) -> Iterator[str]:
    """Word n-grams of a list of words."""
    return (" ".join(found[i : i + size]) for i in range(len(found) - size + 1))


def benchmark_grams(benchmark: Path) -> Grams:
    """Grams of every item whose task asks for generalisation: its question with the right answer.

    Knowledge items state what the model is meant to learn, so they never remove a document.
    """
    forbidden: dict[int, dict[str, str]] = defaultdict(dict)
    for task in json.loads((benchmark / "benchmark.json").read_bytes())["tasks"]:
        if task["role"] != "generalisation":
            continue
        with (benchmark / task["items"]).open(encoding="utf-8") as lines:
            for item in map(json.loads, lines):
                question = item["query"] if "query" in item else item["question"]
                answer = item["choices"][item["gold"]] if "choices" in item else item["answer"]
                found = words(f"{question} {answer}")
                size = min(GRAM, len(found))
                if size >= SHORTEST:
                    forbidden[size].update(dict.fromkeys(grams(found, size), task["name"]))
    return forbidden


def contaminated_by(text: str, forbidden: Grams) -> str | None:
    """Task of the first forbidden gram in `text`, if any."""
    found = words(text)
    for size, tasks in sorted(forbidden.items()):
        for gram in grams(found, size):
            if gram in tasks:
                return tasks[gram]
    return None
