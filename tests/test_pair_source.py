"""Files of `sources/pairs` are validated before anything is read or asked; without one there is nothing."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from forge_dagster.errors import RecipeError
from forge_dagster.home import PROJECT
from forge_dagster.pair_source import load_pair_source, load_pair_sources

GIVEN = {"name": "ours", "kind": "chat", "location": "ours.jsonl", "owner": "we", "licence": "internal"}
MODEL = {
    "name": "ours", "kind": "endpoint", "location": "http://127.0.0.1:1/v1", "model": "m", "licence": "MIT", "seed": 1,
    "temperature": 0, "max_tokens": 64, "passages": 1, "passage_characters": 400, "pairs": 1,
    "timeout": 1, "attempts": 1,
    "failures_in_a_row": 1,
}  # fmt: skip


def write(folder: Path, values: dict[str, Any]) -> Path:
    path = folder / "ours.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def test_paths_are_relative_to_the_file_and_addresses_are_not(tmp_path: Path):
    assert load_pair_source(write(tmp_path, GIVEN)).location == str(tmp_path / "ours.jsonl")
    assert load_pair_source(write(tmp_path, MODEL)).location == "http://127.0.0.1:1/v1"
    checkpoint = load_pair_source(write(tmp_path, MODEL | {"kind": "checkpoint", "location": "m"}))
    assert checkpoint.location == str(tmp_path / "m")


def test_nothing_is_asked_and_nothing_read_unless_declared():
    assert load_pair_sources(PROJECT / "sources" / "pairs") == {}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({key: value for key, value in GIVEN.items() if key != "licence"}, r"licence"),
        (GIVEN | {"location": "http://x/y"}, r"Rule: an endpoint has an address, every other kind a path"),
        (MODEL | {"location": "m"}, r"Rule: an endpoint has an address"),
        (GIVEN | {"name": "other"}, r"rename to other\.yaml"),
        (GIVEN | {"kind": "csv"}, r"kind"),
        (GIVEN | {"seed": 1}, r"seed = 1: unknown key"),
        ({key: value for key, value in MODEL.items() if key != "seed"}, r"seed"),
        (MODEL | {"attempts": 0}, r"attempts = 0"),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, values: dict[str, Any], message: str):
    with pytest.raises(RecipeError, match=message):
        load_pair_source(write(tmp_path, values))
