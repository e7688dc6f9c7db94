"""A document is erased as people do it: planned, masked, trained on from a retained checkpoint, certified, kept out."""

import base64
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml
from nano import Organisation, nano_recipe

from forge_dagster.recipe import Recipe
from forge_dagster.training.order import documents_of_step
from forge_dagster.training.settings import Settings

pytestmark = pytest.mark.system

BASE = "nano/base_checkpoint"


def _content(made: Organisation, key: str, digest: str) -> Path:
    return made.home / "artifacts" / key / digest / "content"


def _late(made: Organisation, shards: Path) -> tuple[str, int]:
    """The training document that is read last for the first time, and that step."""
    recipe = Recipe.model_validate(yaml.safe_load((made.root / "recipes" / "nano.yaml").read_text()))
    settings = Settings.model_validate(recipe.stages[0].settings)
    first: dict[str, int] = {}
    for step in range(settings.steps):
        for row in documents_of_step(shards, settings, recipe.seed, step):
            first.setdefault(row["document"], step)
    return max(first.items(), key=lambda pair: pair[1])


def _run(made: Organisation, *arguments: str) -> None:
    done = made.forge(*arguments)
    assert done.returncode == 0, done.stderr


def _json(made: Organisation, *arguments: str) -> Any:
    done = made.forge(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_an_erased_document_leaves_the_model_and_does_not_come_back(organisation: Callable[[], Organisation]):
    made = organisation()
    recipe = nano_recipe("nano")
    recipe["stages"] = recipe["stages"][:1]
    recipe["stages"][0]["settings"] |= {"retain_every_steps": 10}
    (made.root / "recipes" / "nano.yaml").write_text(yaml.safe_dump(recipe))
    _run(made, "run")
    before = made.digests()
    shards = next(key for key in before if key.startswith("token_shards/"))
    document, step = _late(made, _content(made, shards, before[shards]))
    _run(made, "keys", "new", "--name", "privacy", "--owner", "Ada Reed")

    asked = ("erase", document, "--reason", "request 17")
    plan = _json(made, *asked)
    (model,) = plan["models"]
    assert model["first_step"] == step
    assert model["options"]["resume"]["begins_at"] == step - step % 10 > 0
    assert model["options"]["resume"]["steps"] + model["options"]["resume"]["begins_at"] == 40
    assert made.digests() == before, "a plan changes nothing"

    done = _json(made, *asked, "--key", "privacy", "--plan", plan["plan"][:12])
    after = made.digests()
    assert done["successors"]["nano"]["after_step"] == step - step % 10
    assert after[BASE] != before[BASE]
    assert {f"nano/release@{before['nano/release']}", f"{BASE}@{before[BASE]}"} <= set(done["withdrawn"])
    corpus = pq.read_table(_content(made, "corpus", after["corpus"]) / "train.parquet", columns=["id"])
    assert document not in corpus["id"].to_pylist()
    index = pq.read_table(_content(made, shards, after[shards]) / "documents.parquet").to_pylist()
    assert [row["bytes"] for row in index if row["document"] == document] == [0]
    assert [probe["document"] for probe in done["probes"]] == [document]

    signed = json.loads(Path(done["certificate"]).read_bytes())
    said = json.loads(base64.b64decode(signed["envelope"]["payload"]))["predicate"]
    assert said == signed["certificate"]
    assert "unlearn" not in json.dumps(said)
    assert any(each.startswith("tokenizer/") for each in said["keeps_trace"]
               ["tokenizers, whose merges were counted over it"])  # fmt: skip
    _run(made, "verify", "nano/release")

    # The full training, with the checkpoints that were retained thrown away, has the same digest.
    _run(made, "run", "--select", BASE, "--force")
    assert made.digests()[BASE] == after[BASE]

    documents = made.root / "sample" / "documents"
    raw = pq.read_table(_content(made, "raw_documents/sample", before["raw_documents/sample"]) / "documents.parquet")
    path = next(row["path"] for row in raw.select(["id", "path"]).to_pylist() if row["id"] == document)
    shutil.copyfile(documents / path, documents / "again.txt")
    _run(made, "run", "--select", "raw_documents")
    now = _content(made, "raw_documents/sample", made.digests()["raw_documents/sample"])
    rows = pq.read_table(now / "dispositions.parquet").to_pylist()
    erased = {row["path"] for row in rows if (row["disposition"], row["reason"]) == ("dropped", "erased")}
    assert {path, "again.txt"} <= erased

    # Another one, by training again on documents without it.
    _run(made, "run")
    stood = made.digests()
    ids = pq.read_table(_content(made, "corpus", stood["corpus"]) / "train.parquet", columns=["id"])["id"].to_pylist()
    asked = ("erase", ids[0], "--reason", "request 18", "--option", "retrain")
    plan = _json(made, *asked)
    assert plan["models"][0]["options"]["retrain"]["steps"] == 40
    done = _json(made, *asked, "--key", "privacy", "--plan", plan["plan"][:12])
    now = made.digests()
    assert done["successors"]["nano"]["release"] == f"nano/release@{now['nano/release']}"
    assert f"nano/release@{stood['nano/release']}" in done["withdrawn"]
    raw = pq.read_table(_content(made, "raw_documents/sample", now["raw_documents/sample"]) / "documents.parquet")
    assert not {ids[0], document} & set(raw["id"].to_pylist())
    _run(made, "verify", "nano/release")
