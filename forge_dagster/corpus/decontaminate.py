"""Which training documents contain a benchmark item: 13-gram word overlap (Brown et al. 2020, appendix C)."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from forge_dagster.corpus.duplicates import words

GRAM = 13  # words


def grams(text: str) -> Iterator[str]:
    """Word 13-grams of a text."""
    found = words(text)
    return (" ".join(found[i : i + GRAM]) for i in range(len(found) - GRAM + 1))


def benchmark_grams(benchmark: Path) -> dict[str, str]:
    """13-gram -> task, over every item whose task asks for generalisation.

    Knowledge items state what the model is meant to learn, so they never remove a document.
    """
    found: dict[str, str] = {}
    for task in json.loads((benchmark / "benchmark.json").read_bytes())["tasks"]:
        if task["role"] != "generalisation":
            continue
        with (benchmark / task["items"]).open(encoding="utf-8") as lines:
            for line in lines:
                item = json.loads(line)
                answer = item["choices"][item["gold"]] if "choices" in item else item["answer"]
                question = item.get("query") or item["question"]
                found.update(dict.fromkeys(grams(f"{question} {answer}"), task["name"]))
    return found


def contaminated_by(text: str, forbidden: dict[str, str]) -> str | None:
    """Task of the first forbidden 13-gram in `text`, if any."""
    return next((forbidden[gram] for gram in _present(grams(text), forbidden)), None)


def _present(found: Iterable[str], forbidden: dict[str, str]) -> Iterator[str]:
    return (gram for gram in found if gram in forbidden)
