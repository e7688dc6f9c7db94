"""The Dagster UI in headless Chromium: lineage, materializing by clicks, a recipe file that appears on reload."""

import json
import os
import shutil
import signal
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from nano import Organisation, nano_recipe

pytestmark = pytest.mark.system

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
MATERIALIZED = "{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { runId } } }"
RUNS = "{ runsOrError(limit: 20) { ... on Runs { results { runId status } } } }"


class Server:
    """`forge ui` over an organisation."""

    def __init__(self, organisation: Organisation) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = organisation.start("ui", "--port", str(self.port))
        self.until(lambda: self.query("{ version }"), 120)

    def query(self, text: str) -> Any:
        request = urllib.request.Request(
            f"{self.url}/graphql", json.dumps({"query": text}).encode(), {"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)["data"]
        except OSError:
            return None

    def until(self, condition: Callable[[], Any], seconds: float) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "waited too long"
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.5)
        return found

    def materialized(self) -> set[str]:
        nodes = self.query(MATERIALIZED)["assetNodes"]
        return {"/".join(node["assetKey"]["path"]) for node in nodes if node["assetMaterializations"]}

    def runs(self) -> dict[str, str]:
        return {run["runId"]: run["status"] for run in self.query(RUNS)["runsOrError"]["results"]}

    def run_by(self, click: Callable[[], None]) -> None:
        """Do what starts a run; wait until it succeeded."""
        before = set(self.runs())
        click()
        started = self.until(lambda: set(self.runs()) - before, 60).pop()
        status = self.until(lambda: self.runs()[started] in ("SUCCESS", "FAILURE") and self.runs()[started], 400)
        assert status == "SUCCESS"

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.communicate(timeout=60)


@pytest.fixture(scope="module")
def server(undisturbed: Organisation) -> Iterator[Server]:
    made = Server(undisturbed)
    yield made
    made.close()


@pytest.fixture
def page(server: Server) -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser.new_page(viewport={"width": 1800, "height": 1000})
        browser.close()


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


def test_a_recipe_file_appears_on_reload_and_is_trained_by_clicking(
    server: Server, page: Any, undisturbed: Organisation
):
    recipe = nano_recipe("second")
    recipe["stages"] = recipe["stages"][:1]
    recipe["gates"] = recipe["gates"][:1]
    (undisturbed.root / "recipes" / "second.yaml").write_text(yaml.safe_dump(recipe))
    page.goto(f"{server.url}/asset-groups")
    page.get_by_role("button", name="Reload definitions").click(timeout=60_000)
    page.get_by_text("second").first.wait_for(timeout=90_000)
    server.run_by(lambda: materialize(page, f"{server.url}/locations/forge/asset-groups/second/lineage"))
    assert {"second/base_checkpoint", "second/scorecard", "second/release"} <= server.materialized()
