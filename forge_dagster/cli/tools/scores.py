"""Tools that tell scores: development items in full, of all that is sealed the verdict and a rounded score."""

from collections import defaultdict
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import Field

from forge_dagster.agents import sealed
from forge_dagster.agents.envelope import enveloped
from forge_dagster.cli.scorecard import Read, read
from forge_dagster.cli.tools.desk import BENCHMARK, Desk
from forge_dagster.cli.tools.tool import Card, Nothing, Tool
from forge_dagster.errors import UserError
from forge_dagster.evaluation.item import Item
from forge_dagster.stage import FrozenModel

MOST_ITEMS = 50
SPLIT = "document_split"


class OfRecipe(FrozenModel):
    """Which scorecard."""

    recipe: Card


class Two(FrozenModel):
    """Which two scorecards; their last checkpoints are compared."""

    recipe: Card
    with_: Card = Field(alias="with")


class Benchmark(FrozenModel):
    """Which items."""

    task: str | None = Field(default=None, max_length=80)
    most: int = Field(default=10, ge=1, le=MOST_ITEMS)


def scorecard(desk: Desk, asked: OfRecipe) -> dict[str, Any]:
    """Scores over development items, and the gates."""
    found = read(asked.recipe)
    seal = desk.seal(_benchmark(desk, found))
    desk.counts_as_a_look(found.name, found.digest)
    return {
        "recipe": found.name,
        "digest": found.digest,
        "passed": found.card.passed,
        "gates": sealed.gates(found.card, seal),
        "development": sealed.scores(found.card, found.results, seal),
        "note": "Scores are of development items. Gates are judged on all items; their scores are rounded.",
    }


def compare(desk: Desk, asked: Two) -> dict[str, Any]:
    """The last checkpoints of two scorecards on development items."""
    one, other = read(asked.recipe), read(asked.with_)
    seals = desk.seal(_benchmark(desk, one)), desk.seal(_benchmark(desk, other))
    rows = sealed.compared((one.card, other.card), (one.results, other.results), seals)
    sides = {"candidate": one, "other": other}
    told = {side: {"recipe": r.name, "digest": r.digest, "checkpoint": r.last} for side, r in sides.items()}
    return {**told, "metrics": [row.model_dump(mode="json") for row in rows], "items": "development"}


def benchmark(desk: Desk, asked: Benchmark) -> dict[str, Any]:
    """Development items of the current benchmark, and how many are sealed."""
    digest = desk.current(BENCHMARK, "plan and execute a recipe")
    found, counts = sealed.development_items(desk.seal(digest), desk.store.content(BENCHMARK, digest), asked.task)
    items = _readable(desk, digest, found)[: asked.most]
    if asked.task is not None and asked.task not in counts:
        raise UserError(f"task {asked.task!r}", rule=f"one of {', '.join(counts)}", mend="choose one of these")
    if items:
        desk.counts_as_search("benchmark", sorted({each for item in items for each in item["document_ids"]}))
    told = [
        {
            "id": item["id"],
            "gold": item["gold"],
            "query": enveloped(item["query"]),
            "choices": [enveloped(choice, 500) for choice in item["choices"]],
        }
        for item in items
    ]
    return {"digest": digest, "tasks": counts, "items": told}


def _readable(desk: Desk, benchmark: str, items: list[Item]) -> list[Item]:
    """Items made of documents of the agent's sources alone, by the split that the benchmark was made from."""
    split = desk.store.record(BENCHMARK, benchmark).identity.inputs[SPLIT].digest
    table = pq.read_table(desk.store.content(SPLIT, split) / "split.parquet", columns=["id", "source"])
    wanted = pa.array(sorted({each for item in items for each in item["document_ids"]}), pa.string())
    sources: dict[str, set[str]] = defaultdict(set)
    for row in table.filter(pc.is_in(table["id"], wanted)).to_pylist():
        sources[row["id"]].add(row["source"])
    allowed = {each for each, of in sources.items() if of <= set(desk.quota.sources)}
    return [item for item in items if set(item["document_ids"]) <= allowed]


def _benchmark(desk: Desk, found: Read) -> str | None:
    """The benchmark that a scorecard's items are of."""
    record = desk.store.record(f"{found.name}/scorecard", found.digest)
    ref = record.identity.inputs.get(BENCHMARK)
    return ref.digest if ref else None


def budget(desk: Desk, asked: Nothing) -> dict[str, Any]:
    """Quota and what was used of it."""
    return {"quota": desk.quota.model_dump(mode="json"), "used": desk.budget.standing().model_dump(mode="json")}


TOOLS = (
    Tool(
        name="scorecard",
        description="Scores of a recipe's checkpoints on development items; verdict and rounded score of each gate.",
        arguments=OfRecipe,
        run=scorecard,
    ),
    Tool(
        name="compare",
        description="Two models beside each other on development items, with intervals and adjusted p-values.",
        arguments=Two,
        run=compare,
    ),
    Tool(
        name="benchmark",
        description="Development items of the benchmark; the other items are sealed.",
        arguments=Benchmark,
        run=benchmark,
    ),
    Tool(name="budget", description="Your quota and what you used of it.", arguments=Nothing, run=budget),
)
