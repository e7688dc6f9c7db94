"""A nano organisation's release as files of other runtimes, by the command: two held-out documents prove nothing."""

import json

import pytest
from nano import Organisation

pytestmark = pytest.mark.system


def test_an_export_that_too_few_items_speak_for_is_refused_and_does_not_stand(copied: Organisation):
    done = copied.forge("export", "nano", "--to", "gguf/q8_0", "--to", "ct2", "--max-loss", "0.2", "--json")
    assert done.returncode == 4, done.stderr + done.stdout
    body = json.loads(done.stdout)
    assert {each["key"] for each in body["errors"]} == {"export/nano/gguf/q8_0", "export/nano/ct2/int8"}
    rows = {row["export"]: row for row in body["exports"]}
    for name in ("gguf/q8_0", "ct2/int8"):
        assert "2 items" in rows[name]["reason"]
        assert rows[name]["bytes"] > 0
    assert not [key for key in copied.digests() if key.startswith("export/")]
