"""Tools that read what stands: artifacts, sources, the readiness report, recipes, schemas, runs."""

from typing import Any

from pydantic import Field

from assets.studies import study_key
from forge_dagster.agents.envelope import tamed
from forge_dagster.cli.forecast import READINESS
from forge_dagster.cli.schema import schemas
from forge_dagster.cli.status import artifacts
from forge_dagster.cli.tools.desk import Desk
from forge_dagster.cli.tools.tool import Known, Nothing, Tool
from forge_dagster.corpus.readiness.assessment import load
from forge_dagster.declared import load_declared
from forge_dagster.errors import UserError
from forge_dagster.search import found
from forge_dagster.stage import FrozenModel
from resources.runs import recent

MOST_RUNS = 100
WITHHELD = {"worst", "lost"}
"""Of the readiness report: documents by path and title, held-out ones among them."""


class Status(FrozenModel):
    """Which artifacts."""

    work_only: bool = Field(default=False, description="only what needs work")


class Recipe(FrozenModel):
    """Which recipe."""

    recipe: Known | None = Field(default=None, description="one in full; without it a list")


class Study(FrozenModel):
    """Which study."""

    study: Known


class Schema(FrozenModel):
    """Which schema."""

    kind: str | None = Field(default=None, max_length=80, description="e.g. recipe or stage/base; without it the kinds")


class Runs(FrozenModel):
    """How many runs."""

    most: int = Field(default=20, ge=1, le=MOST_RUNS)
    before: str | None = Field(default=None, pattern=r"^[0-9a-f-]{36}$", description="id of a run; older ones follow")


def status(desk: Desk, asked: Status) -> dict[str, Any]:
    """Every artifact with its state."""
    rows = artifacts(desk.home, load_declared())
    return {"artifacts": [row for row in rows if not asked.work_only or row["state"] != "current"]}


def sources(desk: Desk, asked: Nothing) -> dict[str, Any]:
    """Every source with its terms, without where it lies."""
    told = {"name", "kind", "owner", "licence", "sensitivity", "permitted_use", "audience", "language", "shards"}
    every = [placed.source.model_dump(mode="json", include=told) for placed in load_declared().sources.values()]
    return {"sources": [{**each, "may_read": each["name"] in desk.quota.sources} for each in every]}


def readiness(desk: Desk, asked: Nothing) -> dict[str, Any]:
    """The report of `forge assess` as it stands."""
    digest = desk.current(READINESS, f"plan and execute {READINESS!r}")
    assessment = load(desk.store.content(READINESS, digest)).model_dump(mode="json", exclude=WITHHELD)
    return {"digest": digest, "assessment": tamed(assessment)}


def recipes(desk: Desk, asked: Recipe) -> dict[str, Any]:
    """The recipes, or one of them in full."""
    known = load_declared().recipes
    if asked.recipe is None:
        return {"recipes": [{"name": each.name, "description": each.description} for each in known.values()]}
    if asked.recipe not in known:
        raise UserError(f"recipe {asked.recipe!r}", rule=f"one of {', '.join(known)}", mend="see the list")
    return {"recipe": known[asked.recipe].model_dump(mode="json", exclude_none=True)}


def study(desk: Desk, asked: Study) -> dict[str, Any]:
    """What a study found, and the settings that it proposes; its metric is of validation documents, not of items."""
    key = study_key(asked.study)
    digest = desk.current(key, f"plan and execute {key!r}")
    done, _ = found.read(desk.store.content(key, digest))
    told = done.model_dump(mode="json", include={"own", "best", "importance", "trials"})
    return {"digest": digest, "metric": done.study.metric, "proposal": done.proposal, **told}


def schema(desk: Desk, asked: Schema) -> dict[str, Any]:
    """JSON Schema of what may be proposed."""
    known = schemas()
    if asked.kind is None:
        return {"kinds": sorted(known)}
    if asked.kind not in known:
        raise UserError(f"kind {asked.kind!r}", rule=f"one of {', '.join(sorted(known))}", mend="choose one of these")
    return {"schema": known[asked.kind]}


def runs(desk: Desk, asked: Runs) -> dict[str, Any]:
    """The newest runs, by Dagster's index."""
    return {"runs": recent(asked.most, asked.before)}


TOOLS = (
    Tool(
        name="status",
        description="Every artifact: current, reusable, stale and why, missing, or held for a person.",
        arguments=Status,
        run=status,
    ),
    Tool(name="sources", description="Sources of documents with their terms.", arguments=Nothing, run=sources),
    Tool(
        name="readiness",
        description="What the documents support, what is missing, what to mend first (the report of `forge assess`).",
        arguments=Nothing,
        run=readiness,
    ),
    Tool(name="recipes", description="The recipes, or one in full.", arguments=Recipe, run=recipes),
    Tool(
        name="study",
        description="What a study of settings found: its trials, the best of them.",
        arguments=Study,
        run=study,
    ),
    Tool(name="schema", description="JSON Schema of recipes, stages and policies.", arguments=Schema, run=schema),
    Tool(name="runs", description="The newest runs with status and actor.", arguments=Runs, run=runs),
)
