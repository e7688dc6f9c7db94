"""What differs between two releases: documents, code, recipe, environment and scores."""

import json
from collections.abc import Mapping
from typing import Any

from forge_dagster.evaluation import evidence
from forge_dagster.evaluation.card import read_card
from forge_dagster.evaluation.comparison import Compared, compare
from forge_dagster.lineage.graph import Graph, Node
from forge_dagster.stage import FrozenModel

Pair = tuple[Any, Any]


class Documents(FrozenModel):
    """Training documents that one release has and the other has not, as SOURCE/PATH; a changed one has another id."""

    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    same: int


class Difference(FrozenModel):
    """From the first release to the second; (before, after), None where one has no such thing."""

    documents: Documents
    code: Mapping[str, tuple[str | None, str | None]]
    recipe: Mapping[str, Pair]
    environment: Mapping[str, Pair]
    scores: tuple[Compared, ...]
    """Of the last checkpoints, item by item; positive is better in the second."""


def difference(graph: Graph, before: Node, after: Node) -> Difference:
    """Compare two releases. Raises UserError if what one was made from is no longer in the store."""
    both = (before, after)
    recipes = [_flat(graph.records[each][0].identity.config["recipe"]) for each in both]
    codes = [_made_by(graph, each, "code_version") for each in both]
    places = [_flat(_made_by(graph, each, "numerics")) | _flat(_machine(graph, each)) for each in both]
    return Difference(
        documents=_documents(graph, before, after),
        code=_differing(*codes),
        recipe=_differing(*recipes),
        environment=_differing(*places),
        scores=tuple(_scores(graph, before, after)),
    )


def _documents(graph: Graph, before: Node, after: Node) -> Documents:
    import duckdb

    with duckdb.connect() as connection:
        for name, release in (("old", before), ("new", after)):
            file = str(graph.content(graph.input(release, "corpus")) / "train.parquet").replace("'", "''")
            connection.execute(f"CREATE TABLE {name} AS SELECT id, source, path FROM read_parquet('{file}')")

        def only(one: str, other: str) -> list[tuple[str, bool]]:
            return connection.execute(
                f"SELECT source || '/' || path, (source, path) IN (SELECT (source, path) FROM {other}) FROM {one} "
                f"WHERE (id, source, path) NOT IN (SELECT (id, source, path) FROM {other}) ORDER BY 1"
            ).fetchall()

        new, old = only("new", "old"), only("old", "new")
        counted = connection.execute("SELECT count(*) FROM new").fetchall()
    return Documents(
        added=tuple(name for name, was_there in new if not was_there),
        removed=tuple(name for name, is_there in old if not is_there),
        changed=tuple(name for name, was_there in new if was_there),
        same=counted[0][0] - len(new),
    )


def _made_by(graph: Graph, release: Node, what: str) -> dict[str, Any]:
    """A field of the identity of everything above a release, by artifact with the recipe's name left out."""
    recipe = release.family
    found = {}
    for node in [release, *graph.walk([release])]:
        if node in graph.records:
            identity = graph.records[node][0].identity
            found[node.key.removeprefix(f"{recipe}/")] = getattr(identity, what)
    return found


def _machine(graph: Graph, release: Node) -> dict[str, Any]:
    """Machines that the checkpoints were made on."""
    found = {}
    for node in graph.learnt(release):
        run = json.loads((graph.store.here(*node) / "beside" / "run.json").read_bytes())
        found[node.key.removeprefix(f"{release.family}/")] = {"machine": run["machine"]}
    return found


def _scores(graph: Graph, before: Node, after: Node) -> list[Compared]:
    """As `forge scorecard --compare` compares, from what the releases themselves hold."""
    cards = [read_card(graph.content(each)) for each in (before, after)]
    results = [evidence.read_evidence(graph.content(each) / evidence.FILE) for each in (before, after)]
    last = [list(card.checkpoints)[-1] for card in cards]
    return compare(
        (cards[1].checkpoints[last[1]], cards[0].checkpoints[last[0]]),
        (results[1][last[1]], results[0][last[0]]),
        cards[1].metrics,
    )


def _flat(value: Any, name: str = "") -> dict[str, Any]:
    """Leaves by dotted key."""
    if isinstance(value, Mapping) and value:
        parts = {str(key): each for key, each in value.items()}
    elif isinstance(value, list | tuple) and value and isinstance(value[0], Mapping):
        # Stages and gates are told apart by what they are called, so that one more does not shift the others.
        parts = {
            str(each.get("name") or each.get("stage") or each.get("metric") or at): each
            for at, each in enumerate(value)
        }
    else:
        return {name: value}
    return {
        leaf: each
        for key, part in parts.items()
        for leaf, each in _flat(part, f"{name}.{key}" if name else key).items()
    }


def _differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Pair]:
    return {key: (old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)}
