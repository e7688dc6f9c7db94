"""Nano organisations and a browser for the system tests."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
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
def pristine(
    organisation: Callable[[], Organisation], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Organisation | None]:
    """The folder of an organisation after its run, for all test processes; and where it was made, if this one did."""
    own = tmp_path_factory.getbasetemp()
    shared, made = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "pristine", None
    with FileLock(f"{shared}.lock"):
        if not shared.is_dir():
            made = _ran(organisation())
            shutil.copytree(made.root, shared, symlinks=True)
    return shared, made


@pytest.fixture(scope="session")
def undisturbed(organisation: Callable[[], Organisation], pristine: tuple[Path, Organisation | None]) -> Organisation:
    """An organisation whose run nobody disturbed, where it ran: the place of its documents is part of what it is."""
    return pristine[1] or _ran(organisation())


@pytest.fixture(scope="module")
def copied(pristine: tuple[Path, Organisation | None], tmp_path_factory: pytest.TempPathFactory) -> Organisation:
    """A copy of an organisation after its run, for tests that change it."""
    root = tmp_path_factory.mktemp("copied") / "organisation"
    shutil.copytree(pristine[0], root, symlinks=True)
    return Organisation(root)


def _ran(made: Organisation) -> Organisation:
    done = made.forge("run")
    assert done.returncode == 0, done.stderr
    return made


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
