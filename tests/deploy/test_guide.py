"""The guide of deploy/ names commands, files and versions that there are."""

import importlib.metadata
import re

from forge_dagster.cli.main import COMMANDS
from forge_dagster.home import PROJECT

GUIDE = (PROJECT / "deploy/README.md").read_text()


def test_its_commands_and_files_are_there():
    assert set(re.findall(r"(?:^|`|-- )forge ([a-z][a-z-]*)", GUIDE, re.MULTILINE)) <= {*COMMANDS}
    for path in re.findall(r"\b(?:deploy|tests|resources)/[\w./-]+\w", GUIDE):
        assert (PROJECT / path).exists(), path


def test_it_installs_the_chart_of_the_pinned_version():
    assert re.findall(r"--version (\S+)", GUIDE) == [importlib.metadata.version("dagster")]


def test_it_says_what_was_never_tried():
    assert "Never tried on a real cluster" in GUIDE
