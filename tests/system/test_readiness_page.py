"""`forge assess` from a folder to the page, and the page in headless Chromium: nothing runs, nothing is fetched."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nano import Organisation

pytestmark = pytest.mark.system

SCRIPT = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
MAILS = " ".join(f"Write to person{number}@example.org." for number in range(9))


@pytest.fixture(scope="module")
def untrained(organisation: Callable[[], Organisation]) -> Organisation:
    """An organisation that has run nothing yet."""
    return organisation()


@pytest.fixture(scope="module")
def assessed(untrained: Organisation, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What `forge assess --json` tells of a folder in which a document's title and path hold a script."""
    folder = tmp_path_factory.mktemp("documents") / "handbooks"
    shutil.copytree(untrained.root / "sample" / "documents", folder)
    title = SCRIPT.replace("<", "&lt;").replace('"', "&quot;")
    named = folder / f"{SCRIPT.replace('/', '_')}.html"
    named.write_text(
        f"<html><head><title>{title}</title></head><body><p>{MAILS} Then wait for an answer.</p></body></html>"
    )
    done = untrained.forge("assess", "--sources", str(folder), "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_the_page_shows_everything_and_runs_nothing(assessed: dict[str, Any], browser: Any, tmp_path: Path):
    said: list[str] = []
    fetched: list[str] = []
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("request", lambda request: fetched.append(request.url))
    page.goto(Path(assessed["page"]).as_uri())
    page.get_by_role("heading", name="What to fix first").wait_for()
    assert page.title() == "Readiness of handbooks"
    assert page.get_by_text("document.title='ran'").first.is_visible(), "the title is there, as text"
    assert said == []
    assert [url for url in fetched if not url.startswith("data:")] == [Path(assessed["page"]).as_uri()]
    assert page.evaluate("[...document.images].every(image => image.naturalWidth > 300)")
    assert page.locator("figure").count() == 9
    page.set_viewport_size({"width": 480, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth <= 480"), "nothing sticks out of a narrow window"


def test_the_terminal_tells_it_and_the_second_time_nothing_is_made(assessed: dict[str, Any], untrained: Organisation):
    folder = untrained.home / "sources" / "handbooks"
    again = untrained.forge("assess", "--sources", str(folder))
    assert again.returncode == 0, again.stderr
    for part in (assessed["verdict"], "What this supports", "licence", "forge inspect", "readiness.html"):
        assert part in " ".join(again.stdout.split()), part
    assert "readiness: made" not in again.stderr
