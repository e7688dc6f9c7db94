"""The two long commands over a nano organisation: approaches are compared, and a spoiled source is named."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from nano import Organisation, nano_recipe

from forge_dagster.sample.generate import generate

pytestmark = pytest.mark.system


def declare(made: Organisation, stages: int) -> None:
    """One recipe of its first stages."""
    recipe = nano_recipe("nano")
    recipe["stages"] = recipe["stages"][:stages]
    for path in (made.root / "recipes").glob("*.yaml"):
        path.unlink()
    (made.root / "recipes" / "nano.yaml").write_text(yaml.safe_dump(recipe))


def test_approaches_are_compared_and_a_second_time_reused(organisation: Callable[[], Organisation], tmp_path: Path):
    made = organisation()
    declare(made, 2)
    generate(60, 9, tmp_path / "others")
    asked = ("compare-approaches", "--recipe", "nano", "--general", str(tmp_path / "others" / "documents"), "--json")
    first = made.forge(*asked)
    assert first.returncode == 0, first.stderr
    body = json.loads(first.stdout)
    rows = {row["arm"]: row for row in body["rows"]}
    assert len(rows) == 8
    assert rows["base"]["training_tokens"] == rows["base + retrieval"]["training_tokens"] == 0
    trained = [row["training_operations"] for row in body["rows"] if row["training_tokens"]]
    assert max(trained) == pytest.approx(body["budget"], rel=0.1)
    assert min(trained) == pytest.approx(body["budget"], rel=0.1)
    assert body["reading"] in made.forge(*asked[:-1]).stdout.replace("\n", " ")
    assert json.loads(made.forge(*asked).stdout)["artifact"] == body["artifact"]
    recipes = made.home / "approaches" / "recipes"
    assert {path.stem for path in recipes.glob("*.yaml")} == {"nano", "nano-continued", "nano-sft-only"}


def test_a_spoiled_source_is_named(organisation: Callable[[], Organisation], tmp_path: Path):
    made = organisation()
    declare(made, 1)
    for path in (made.root / "sources").glob("*.yaml"):
        path.unlink()
    generate(60, 3, tmp_path / "company")
    texts = sorted(path for path in (tmp_path / "company").rglob("*") if path.suffix in (".md", ".txt"))
    for number, path in enumerate(texts):
        name = "abc"[number % 3]
        (tmp_path / name).mkdir(exist_ok=True)
        (tmp_path / name / path.name).write_text(path.read_text())
        terms = {"owner": "x", "licence": "internal", "sensitivity": "internal"}
        source = {"name": name, "kind": "folder", "location": str(tmp_path / name), **terms}
        (made.root / "sources" / f"{name}.yaml").write_text(yaml.safe_dump(source))
    assert made.forge("run").returncode == 0
    old = made.digests()["nano/release"]
    chance = random.Random(1)
    for path in sorted((tmp_path / "b").iterdir()):
        words = ["".join(chance.sample(word, len(word))) for word in path.read_text().split()]
        path.write_text("\n\n".join(" ".join(words[at : at + 12]) + "." for at in range(0, len(words), 12)))
    assert made.forge("run").returncode == 0
    asked = ("bisect", f"nano@{old[:12]}", "nano", "--tokens", "20480", "--json")
    plan = json.loads(made.forge(*asked, "--plan").stdout)
    assert "b" in plan["changes"]
    done = made.forge(*asked, "--yes")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["verdict"] == "explained"
    assert {source for culprit in found["culprits"] for source in culprit["sources"]} == {"b"}
