"""Nano organisations and a browser for the system tests."""

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from nano import Organisation, nano_recipe

from forge_dagster.home import PROJECT
from forge_dagster.sample.generate import generate

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


@pytest.fixture(scope="session")
def organisation(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Organisation]:
    """Make a nano organisation; each has the same documents and recipe, and a home of its own."""

    def make(documents: int = 40) -> Organisation:
        root = tmp_path_factory.mktemp("organisation")
        generate(documents, 7, root / "sample")
        for folder in ("sources", "recipes"):
            (root / folder).mkdir()
        source = yaml.safe_load((PROJECT / "sources" / "sample.yaml").read_text())
        source |= {"location": "../sample/documents", "facts": "../sample/facts.jsonl"}
        source["canaries"] = "../sample/canaries.yaml"
        (root / "sources" / "sample.yaml").write_text(yaml.safe_dump(source))
        (root / "recipes" / "nano.yaml").write_text(yaml.safe_dump(nano_recipe("nano")))
        return Organisation(root)

    return make


@pytest.fixture(scope="session")
def undisturbed(organisation: Callable[[], Organisation]) -> Organisation:
    """An organisation whose run nobody disturbed."""
    made = organisation()
    done = made.forge("run")
    assert done.returncode == 0, done.stderr
    return made


@pytest.fixture(scope="module")
def copied(undisturbed: Organisation, tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """The undisturbed organisation once more, for tests that change it."""
    root = tmp_path_factory.mktemp("copied") / "organisation"
    shutil.copytree(undisturbed.root, root, symlinks=True)
    return Organisation(root)


@pytest.fixture
def browser() -> Iterator[Any]:
    """Headless Chromium of the system."""
    if CHROMIUM is None:
        pytest.skip("no Chromium: install Debian's package chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()
