"""Tools about documents: search in the training text, where one was used, what a release was trained on."""

from collections import Counter
from typing import Any

from pydantic import Field

from forge_dagster.agents.envelope import enveloped, name_of, tamed
from forge_dagster.cli.sources_of import release_of
from forge_dagster.cli.tools.desk import Desk
from forge_dagster.cli.tools.tool import Card, Tool
from forge_dagster.errors import UserError
from forge_dagster.lineage.find import Finder, Found
from forge_dagster.lineage.sources_of import by_source, sources_of
from forge_dagster.lineage.where_used import Use, WhereUsed
from forge_dagster.provenance.store import DIGEST
from forge_dagster.source import source_of
from forge_dagster.stage import FrozenModel

MOST_PASSAGES = 20
MOST_USES = 200
TOLD = {
    "raw": ("disposition", "reason"),
    "clean": ("disposition", "reason", "licence", "sensitivity"),
    "split": ("disposition", "reason", "split"),
    "corpus": ("disposition", "reason", "side"),
    "shards": ("split", "start", "length", "erased"),
    "generated": ("generator",),
    "instructions": ("rule", "split"),
    "policy_items": ("policy", "split"),
    "preferences": ("rule",),
    "checkpoint": ("pre_training", "rows", "goes_on_from"),
    "adapter": ("rows", "goes_on_from"),
    "release": ("learnt_in", "judged_by_its_items", "current"),
    "tokenizer": ("note",),
}
"""What is told of a use: never a question, for it may be one that models are judged by. Benchmark items are counted."""


class Query(FrozenModel):
    """What to look for."""

    query: str = Field(min_length=1, max_length=500)
    most: int = Field(default=5, ge=1, le=MOST_PASSAGES)


class Document(FrozenModel):
    """Which document."""

    document: str = Field(min_length=6, max_length=300, description="the whole id, or SOURCE/PATH")


class Release(FrozenModel):
    """Which release."""

    release: Card


def search(desk: Desk, asked: Query) -> dict[str, Any]:
    """The passages of the training text that rank best for a query."""
    found = desk.search().best(asked.query, asked.most)
    if found:
        desk.counts_as_search("search", sorted({passage.document for passage, _ in found}))
    return {
        "passages": [
            enveloped(each.text, document=each.document, source=each.source, path=name_of(each.path), score=score)
            for each, score in found
        ]
    }


def where_used(desk: Desk, asked: Document) -> dict[str, Any]:
    """All that a document became part of, without the questions made of it."""
    graph, index = desk.lineage()
    # Not by text: that would tell whether a held-out document, or one of another source, holds it.
    by_id = DIGEST.fullmatch(asked.document) is not None
    try:
        found = Finder(graph, index).find(asked.document, "id" if by_id else "path", lambda *_: None)
    except UserError:
        found = []  # its words may name documents of other sources
    allowed = [each for each in found if _sources(each) <= set(desk.quota.sources)]
    if not allowed:
        raise UserError(
            f"document {asked.document!r:.120}",
            rule=f"one of the sources that {desk.quota.name} may read: {', '.join(desk.quota.sources) or 'none'}",
            mend="give the whole id, or SOURCE/PATH, as `search` has them",
        ) from None
    asking = WhereUsed(graph, index)
    return {"documents": [_uses(each, asking.uses(each.document)) for each in allowed]}


def _sources(found: Found) -> set[str]:
    return {source_of(name.partition("/")[0]) for name in found.names}


def _uses(found: Found, uses: list[Use]) -> dict[str, Any]:
    told = [_told(use) for use in uses if use.kind in TOLD]
    return {
        "document": found.document,
        "names": [name_of(name) for name in found.names],
        "counts": dict(Counter(use.kind for use in uses)),
        "uses": told[:MOST_USES],
        "left_out": max(0, len(told) - MOST_USES),
    }


def _told(use: Use) -> dict[str, Any]:
    said = {name: use.told[name] for name in TOLD[use.kind] if name in use.told}
    if "pre_training" in said:
        steps = said["pre_training"]
        said["pre_training"] = {"steps": len(steps["steps"]), "of": steps["of"], "times": steps["times"]}
    return {"kind": use.kind, "artifact": use.artifact, "digest": use.digest, **tamed(said)}


def sources_of_release(desk: Desk, asked: Release) -> dict[str, Any]:
    """Sources of a release with their terms and how often each stage read them."""
    node = release_of(asked.release)
    graph, index = desk.lineage()
    return {"release": node.key, "digest": node.digest, "sources": tamed(by_source(sources_of(graph, index, node)))}


TOOLS = (
    Tool(
        name="search",
        description="Passages of the training text of sources you may read, by BM25. Held-out documents are not in it.",
        arguments=Query,
        run=search,
    ),
    Tool(
        name="where_used",
        description="All that a document became part of: rows, training steps, checkpoints, releases.",
        arguments=Document,
        run=where_used,
    ),
    Tool(
        name="sources_of",
        description="Sources of a release, their terms, and how often each stage read their documents.",
        arguments=Release,
        run=sources_of_release,
    ),
)
