"""A launch tells of everything that was asked for, whether it was made or stands."""

import json
from collections.abc import Callable

import pytest
import yaml
from nano import Organisation

pytestmark = pytest.mark.system

DOCUMENTS = ("run", "--select", "raw_documents,clean_documents,document_split", "--json")


def test_what_follows_from_a_source_that_came_out_the_same_stands(organisation: Callable[[], Organisation]):
    made = organisation()
    assert made.forge(*DOCUMENTS).returncode == 0
    file = made.root / "sources" / "sample.yaml"
    source = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**source, "cleaning": {"shortest": 41}}))
    again = made.forge(*DOCUMENTS)
    assert again.returncode == 0, again.stderr
    reused = {row["artifact"]: row["reused"] for row in json.loads(again.stdout)["artifacts"]}
    assert reused == {"raw_documents/sample": True, "clean_documents/sample": False, "document_split": True}
