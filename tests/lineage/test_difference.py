"""`forge diff`: documents, code, recipe, environment and scores of two releases."""

import json

from typer.testing import CliRunner

from forge_dagster.cli.main import app
from forge_dagster.lineage.difference import difference


def test_a_release_differs_from_itself_in_nothing(chain) -> None:
    graph, _ = chain.opened()
    found = difference(graph, chain.releases[0], chain.releases[0])
    assert (found.documents.added, found.documents.removed, found.documents.changed) == ((), (), ())
    assert (found.code, found.recipe, found.environment) == ({}, {}, {})
    assert {row.seen for row in found.scores} <= {"no difference seen", "not comparable"}


def test_what_changed_is_named(chain) -> None:
    graph, _ = chain.opened()
    old, new = chain.releases
    found = difference(graph, old, new)
    assert f"plant/{chain.changed}" in found.documents.changed
    assert f"plant/{chain.removed}" in found.documents.removed
    assert found.recipe == {"seed": (0, 1)}
    back = difference(graph, new, old)
    assert back.documents.added == found.documents.removed
    assert back.documents.changed == found.documents.changed
    assert back.documents.same == found.documents.same > 0


def test_the_command_speaks_to_people_and_to_programs(chain) -> None:
    old, new = (f"nano/release@{release.digest[:16]}" for release in chain.releases)
    said = CliRunner().invoke(app, ["diff", old, new], catch_exceptions=False).stdout
    assert f"~ plant/{chain.changed}" in said
    assert f"- plant/{chain.removed}" in said
    told = json.loads(CliRunner().invoke(app, ["diff", old, "nano", "--json"], catch_exceptions=False).stdout)
    assert told["after_digest"] == chain.releases[1].digest
    assert told["recipe"] == {"seed": [0, 1]}
    assert {row["metric"] for row in told["scores"]} >= {"facts_seen.acc", "validation.bits_per_byte"}
