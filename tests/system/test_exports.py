"""A nano organisation's release as files of other runtimes, by the command."""

import json
from collections.abc import Callable

import pytest
import yaml
from nano import Organisation, nano_recipe

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


def test_an_export_that_loses_no_more_than_agreed_stands_with_its_scorecard(
    organisation: Callable[..., Organisation],
):
    made = organisation(documents=400)  # the gate needs more held-out items than forty give
    recipe = nano_recipe("nano")
    recipe["stages"] = recipe["stages"][:1]
    (made.root / "recipes" / "nano.yaml").write_text(yaml.safe_dump(recipe))
    assert made.forge("run").returncode == 0
    done = made.forge("export", "nano", "--to", "gguf/q8_0", "--to", "ct2", "--max-loss", "0.2", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    standing = made.digests()
    made_of_it = [row for row in json.loads(done.stdout)["exports"] if row["export"] != "release"]
    assert len(made_of_it) == 2
    for row in made_of_it:
        key = f"export/nano/{row['export']}"
        assert row["artifact"] == f"{key}@{standing[key]}"
        assert made.forge("verify", key).returncode == 0
    again = made.forge("export", "nano", "--to", "gguf/q8_0", "--max-loss", "0.2", "--json")
    assert again.returncode == 0
    assert made.digests() == standing
