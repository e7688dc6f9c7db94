"""The ledger against Dagster's history: what either has alone is found, and said in the ledger."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest

from forge_dagster.home import Home
from forge_dagster.provenance.build import Built
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.run import Run
from resources.completeness import Completeness, compare, note
from resources.index import Index
from resources.instance import prepare_dagster_home


def place(key: str) -> tuple[str, str | None]:
    asset, _, partition = key.partition("/")
    return asset, partition or None


@pytest.fixture
def opened(home: Home, make: Callable[..., Built], toy: Callable[[str, str], str]) -> Iterator[Any]:
    """Two sources and a corpus, as ledger and Dagster know them."""
    for name in "ab":
        make(Run(home, "r1"), f"clean/{name}", toy(f"m{name}", name))
    make(Run(home, "r2"), "corpus", toy("joined", "c"), left="clean/a", right="clean/b")
    prepare_dagster_home()
    with dg.DagsterInstance.get() as instance:
        Index(instance, home, place).rebuild()
        yield instance


def found(instance: dg.DagsterInstance, home: Home, *keys: str) -> Completeness:
    return compare(instance, home, place, keys)


def test_what_a_run_leaves_is_complete_both_ways(home: Home, opened: dg.DagsterInstance):
    said = found(opened, home)
    assert (said.events, said.statements, said.problems, said.wiped) == (3, 3, [], ())


@pytest.mark.parametrize("version", ["", hashlib.sha256(b"by hand").hexdigest()])
def test_a_materialization_that_nobody_stated_is_found(home: Home, opened: dg.DagsterInstance, version: str):
    tags = {"dagster/data_version": version} if version else None
    opened.report_runless_asset_event(dg.AssetMaterialization("corpus", tags=tags))
    (problem,) = found(opened, home).problems
    assert problem == f"Dagster has corpus@{version[:12] or 'no data version'}, and the ledger no statement of it"


def test_a_version_told_under_another_partition_is_not_stated(home: Home, opened: dg.DagsterInstance):
    digest = next(Ledger(home.ledger).statements("artifact", key="clean/a"))["digest"]
    event = dg.AssetMaterialization("clean", partition="b", tags={"dagster/data_version": digest})
    opened.report_runless_asset_event(event)
    assert found(opened, home).unstated == (f"clean/b@{digest[:12]}",)


def test_an_asset_that_the_ledger_never_met_is_looked_at_if_it_is_ours(home: Home, opened: dg.DagsterInstance):
    opened.report_runless_asset_event(dg.AssetMaterialization("tokenizer"))
    assert found(opened, home).problems == []
    assert found(opened, home, "tokenizer").unstated == ("tokenizer@no data version",)


def test_a_statement_without_an_event_is_found_after_a_wipe(home: Home, opened: dg.DagsterInstance):
    opened.wipe_assets([dg.AssetKey("corpus")])
    digest = next(Ledger(home.ledger).statements("artifact", key="corpus"))["digest"]
    said = found(opened, home)
    (problem,) = said.problems
    assert [each.split()[1] for each in said.wiped] == ["corpus"]
    assert problem == f"the ledger states corpus@{digest[:12]}, and Dagster has no materialization of it"
    Index(opened, home, place).rebuild()
    assert found(opened, home).problems == []


def test_a_version_that_was_collected_needs_no_event(home: Home, opened: dg.DagsterInstance):
    ledger = Ledger(home.ledger)
    digest = next(ledger.statements("artifact", key="corpus"))["digest"]
    opened.wipe_assets([dg.AssetKey("corpus")])
    ledger.append("collected", {"key": "corpus", "digest": digest})
    assert found(opened, home).problems == []


def test_what_was_found_is_stated(home: Home, opened: dg.DagsterInstance):
    opened.report_runless_asset_event(dg.AssetMaterialization("corpus"))
    note(home, found(opened, home))
    (said,) = Ledger(home.ledger).statements("compared")
    assert said["unstated"] == ["corpus@no data version"]
    assert (said["events"], said["statements"]) == (4, 3)
