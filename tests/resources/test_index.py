"""A lost database of Dagster is made again from the store and its ledger, and a known version is told once."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import dagster as dg

from forge_dagster.home import Home
from forge_dagster.provenance.build import Built
from forge_dagster.provenance.run import Run
from resources.index import Index
from resources.instance import prepare_dagster_home


def place(key: str) -> tuple[str, str | None]:
    asset, _, partition = key.partition("/")
    return asset, partition or None


@contextmanager
def opened(home: Home) -> Iterator[tuple[dg.DagsterInstance, Index]]:
    prepare_dagster_home()
    with dg.DagsterInstance.get() as instance:
        yield instance, Index(instance, home, place)


def told(instance: dg.DagsterInstance, asset: str) -> list[tuple[str | None, str]]:
    records = instance.fetch_materializations(dg.AssetKey([asset]), limit=9, ascending=True).records
    return [(each.partition_key, each.asset_materialization.tags["dagster/data_version"]) for each in records]


def test_every_version_is_told_in_the_order_it_was_made_and_the_current_one_is_last(
    home: Home, make: Callable[..., Built], toy: Callable[[str, str], str]
):
    base = make(Run(home, "r1"), "clean/a", toy("one", "a")).record.digest
    other = make(Run(home, "r1"), "clean/b", toy("other", "b")).record.digest
    first = make(Run(home, "r2"), "corpus", toy("two", "c"), left="clean/a", right="clean/b").record.digest
    second = make(Run(home, "r3"), "corpus", toy("three", "d"), left="clean/a").record.digest
    run = Run(home, "r4")
    run.store.point("corpus", first)  # a person went back
    with opened(home) as (instance, index):
        assert index.rebuild() == {"told": 4, "known": 0, "gone": 0}
        assert told(instance, "clean") == [("a", base), ("b", other)]
        assert told(instance, "corpus") == [(None, first), (None, second), (None, first)]
        tags = instance.get_latest_materialization_event(dg.AssetKey(["corpus"])).asset_materialization.tags
        assert len(tags["dagster/input_data_version/clean"]) == 64
        assert tags["dagster/code_version"]
        check = dg.AssetCheckKey(dg.AssetKey(["corpus"]), "no_x")
        (execution,) = instance.event_log_storage.get_latest_asset_check_execution_by_key([check]).values()
        assert execution.status.value == "SUCCEEDED"
        assert Index(instance, home, place).rebuild() == {"told": 0, "known": 4, "gone": 0}
        assert len(told(instance, "corpus")) == 3


def test_a_deleted_database_is_made_again_and_versions_that_are_gone_are_counted(
    home: Home, make: Callable[..., Built], toy: Callable[[str, str], str]
):
    first = make(Run(home, "r1"), "corpus", toy("one", "a")).record.digest
    second = make(Run(home, "r2"), "corpus", toy("two", "b")).record.digest
    with opened(home) as (_, index):
        index.rebuild()
    shutil.rmtree(home.dagster)
    shutil.rmtree(home.artifacts / "corpus" / first)
    with opened(home) as (instance, index):
        assert index.rebuild() == {"told": 1, "known": 0, "gone": 1}
        assert told(instance, "corpus") == [(None, second)]
