"""The Dagster UI in headless Chromium: lineage, materializing by clicks, a recipe file that appears on reload."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from nano import Organisation, nano_recipe
from server import Server

pytestmark = pytest.mark.system

RELOAD = 'mutation { reloadRepositoryLocation(repositoryLocationName: "forge") { __typename } }'
BACKFILL = """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $params) {
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }"""
BACKFILL_STATUS = """query ($id: String!) { partitionBackfillOrError(backfillId: $id) {
  ... on PartitionBackfill { status } } }"""


@pytest.fixture(scope="module")
def server(copied: Organisation) -> Iterator[Server]:
    made = Server(copied)
    yield made
    made.close()


@pytest.fixture
def page(server: Server, browser: Any) -> Any:
    return browser.new_page(viewport={"width": 1800, "height": 1000})


def materialize(page: Any, url: str) -> None:
    """Open an asset or a group and click Materialize."""
    page.goto(url)
    page.get_by_role("button", name="Materialize").first.click(timeout=60_000)


def materialize_partitions(page: Any, url: str) -> None:
    """Open a partitioned asset, click Materialize, choose all partitions in the dialog and launch."""
    materialize(page, url)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="All", exact=True).click()
    dialog.get_by_role("button", name="Launch 1 run").click()


def test_every_asset_is_materialized(server: Server):
    assert len(server.materialized()) == 17


def test_the_lineage_shows(server: Server, page: Any, tmp_path: Path):
    page.goto(f"{server.url}/asset-groups")
    page.get_by_text("nano").first.wait_for(timeout=60_000)
    page.get_by_text("documents").first.wait_for()
    assert page.screenshot(path=tmp_path / "lineage.png")


def test_a_source_is_materialized_by_clicking(server: Server, page: Any):
    server.run_by(lambda: materialize_partitions(page, f"{server.url}/assets/raw_documents"))


def test_a_recipe_file_appears_on_reload_and_is_trained_by_clicking(server: Server, page: Any, copied: Organisation):
    recipe = nano_recipe("second")
    recipe["stages"] = recipe["stages"][:1]
    recipe["gates"] = recipe["gates"][:1]
    (copied.root / "recipes" / "second.yaml").write_text(yaml.safe_dump(recipe))
    page.goto(f"{server.url}/asset-groups")
    page.get_by_role("button", name="Reload definitions").click(timeout=60_000)
    page.get_by_text("second").first.wait_for(timeout=90_000)
    server.run_by(lambda: materialize(page, f"{server.url}/locations/forge/asset-groups/second/lineage"))
    assert {"second/base_checkpoint", "second/scorecard", "second/release"} <= server.materialized()


def test_a_backfill_makes_each_shard_of_a_new_source_in_a_run_of_its_own(server: Server, copied: Organisation):
    source = yaml.safe_load((copied.root / "sources" / "sample.yaml").read_text())
    (copied.root / "sources" / "more.yaml").write_text(yaml.safe_dump(source | {"name": "more", "shards": 2}))
    reloaded = server.query(RELOAD)["reloadRepositoryLocation"]
    assert reloaded["__typename"] == "WorkspaceLocationEntry", reloaded
    before, shards = set(server.runs()), ["more-1of2", "more-2of2"]
    assets = [{"path": ["raw_documents"]}, {"path": ["clean_documents"]}]
    launched = server.query(BACKFILL, params={"assetSelection": assets, "partitionNames": shards})
    backfill = launched["launchPartitionBackfill"]["backfillId"]

    def status() -> str:
        return str(server.query(BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]["status"])

    server.until(lambda: status() in ("COMPLETED_SUCCESS", "COMPLETED_FAILED", "FAILED"))
    assert status() == "COMPLETED_SUCCESS"
    assert len(set(server.runs()) - before) == len(shards)
    digests = copied.digests()
    assert {f"{asset}/{shard}" for asset in ("raw_documents", "clean_documents") for shard in shards} <= set(digests)
