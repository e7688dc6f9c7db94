"""The domain benchmark: lm-eval tasks made from the sources' facts and from held-out documents, with no model."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.corpus.clean_documents import clean_groups
from forge_dagster.errors import DataError
from forge_dagster.evaluation.facts import fact_items
from forge_dagster.evaluation.next_sentence import next_sentence_items
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext

VERSION = 1


class BenchmarkConfig(FrozenModel):
    """How many items are made of held-out documents, and the seed of their choice."""

    seed: int
    most_items: int = Field(ge=1)


class Task(FrozenModel):
    """One task: `knowledge` the model is meant to learn, or `generalisation` that training must not contain."""

    name: str
    role: Literal["knowledge", "generalisation"]
    kind: Literal["multiple_choice"]
    items: str
    description: str
    version: int = VERSION


TASKS = {
    "facts_seen": Task(
        name="facts_seen",
        role="knowledge",
        kind="multiple_choice",
        items="items/facts_seen.jsonl",
        description="Facts of the documents, asked in a wording the documents use; 4 choices of one type.",
    ),
    "facts_unseen": Task(
        name="facts_unseen",
        role="knowledge",
        kind="multiple_choice",
        items="items/facts_unseen.jsonl",
        description="The same facts, asked in a wording the documents never use.",
    ),
    "next_sentence": Task(
        name="next_sentence",
        role="generalisation",
        kind="multiple_choice",
        items="items/next_sentence.jsonl",
        description="Held-out documents: which of four sentences comes next.",
    ),
}


def run(inputs: Mapping[str, Path], config: BenchmarkConfig, out: Path, context: StageContext) -> Report:
    """Write benchmark.json and items/<task>.jsonl. Raises DataError on a broken fact, or if no item can be made."""
    split = pq.read_table(inputs["document_split"] / "split.parquet", columns=["id", "source", "path", "split"])
    items: dict[str, list[dict[str, Any]]] = {name: [] for name in TASKS}
    left_out = 0
    for name, path in sorted(inputs.items()):
        if name.startswith("facts/"):
            source = name.removeprefix("facts/")
            of_source = split.filter(pc.equal(split["source"], source))
            ids = dict(zip(of_source["path"].to_pylist(), of_source["id"].to_pylist(), strict=True))
            found, without = fact_items(path, ids)
            left_out += without
            for made_for, made_items in found.items():
                # Two sources may name their facts alike.
                items[made_for] += [{**item, "id": f"{source}/{item['id']}"} for item in made_items]
    context.progress(1, 2, "facts")
    texts = _held_out(inputs, split)
    items["next_sentence"] = next_sentence_items(texts, seed=config.seed, most=config.most_items)
    made = [task for name, task in TASKS.items() if items[name]]
    if not made:
        raise DataError(
            f"no benchmark item from {len(texts)} held-out documents",
            rule="a model is judged on at least one item",
            mend="add documents with running text, or a facts file to the source",
        )
    (out / "items").mkdir()
    for task in made:
        lines = [json.dumps(item, ensure_ascii=False, sort_keys=True) for item in items[task.name]]
        (out / task.items).write_text("\n".join(lines) + "\n", encoding="utf-8")
    body = {"version": VERSION, "tasks": [task.model_dump() for task in made]}
    (out / "benchmark.json").write_text(json.dumps(body, indent=1, sort_keys=True), encoding="utf-8")
    return Report(counts={**{task.name: len(items[task.name]) for task in made}, "facts_without_documents": left_out})


def _held_out(inputs: Mapping[str, Path], split: pa.Table) -> list[dict[str, Any]]:
    """Id and text of the documents that no model is trained on."""
    found: list[dict[str, Any]] = []
    done = 0
    for documents in clean_groups(inputs, ["id", "text"]):
        sides = split.slice(done, len(documents))
        assert sides["id"].equals(documents["id"]), "the split has the documents in their order"
        done += len(documents)
        found += documents.filter(pc.is_in(sides["split"], pa.array(["validation", "test"]))).to_pylist()
    return found


def check(content: Path) -> list[Finding]:
    """Every item has four different choices and a right one; the right one's place says nothing."""
    tasks = json.loads((content / "benchmark.json").read_bytes())["tasks"]
    items = [json.loads(line) for task in tasks for line in (content / task["items"]).read_bytes().splitlines()]
    broken = [item["id"] for item in items if len(set(item["choices"])) != 4 or not 0 <= item["gold"] < 4]
    places = [sum(item["gold"] == place for item in items) for place in range(4)]
    # Five standard deviations of a fair draw: a sound benchmark is refused once in a million.
    margin = 5 * math.sqrt(len(items) * 0.25 * 0.75)
    return [
        Finding(name="items_have_four_choices", passed=bool(items) and not broken, observed={"broken": broken[:5]}),
        Finding(
            name="place_of_the_answer_is_balanced",
            passed=all(abs(count - len(items) / 4) <= margin for count in places),
            observed={"places": places},
        ),
    ]


STAGE = Stage(run=run, check=check, check_names=("items_have_four_choices", "place_of_the_answer_is_balanced"))
