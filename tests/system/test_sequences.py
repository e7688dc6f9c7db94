"""A recipe of another sequence than the demo's, run as people run it: adapter, merge, a kind twice, a teacher."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from nano import Organisation, nano_recipe

pytestmark = pytest.mark.system


def _recipe(name: str, *stages: dict[str, Any]) -> dict[str, Any]:
    found = nano_recipe(name)
    return found | {"stages": [found["stages"][0], *stages]}


def test_a_recipe_of_any_sequence_is_made_scored_and_released(organisation: Callable[[], Organisation]):
    made = organisation()
    sft = nano_recipe("nano")["stages"][1]["settings"]
    kto = {"learning_rate": 1e-4, "warmup_share": 0.0, "epochs": 0.1, "batch_size": 16, "beta": 0.1, "max_length": 160}
    lora = {"rank": 2, "alpha": 4, "modules": ["q_proj", "v_proj"]}
    large = _recipe("large", {"stage": "sft", "settings": sft})
    mine = _recipe(
        "mine",
        {"stage": "sft", "settings": sft | {"packing": True}},
        {"stage": "sft", "name": "sft-lora", "settings": sft | {"lora": lora}},
        {"stage": "merge", "settings": {}},
        {"stage": "kto", "settings": kto},
        {"stage": "distill", "settings": sft | {"teacher": "large/sft", "temperature": 2.0, "hard_share": 0.5}},
        {"stage": "sft", "name": "sft-again", "settings": sft},
    )
    (made.root / "recipes" / "nano.yaml").unlink()
    for recipe in (large, mine):
        (made.root / "recipes" / f"{recipe['name']}.yaml").write_text(yaml.safe_dump(recipe))
    done = made.forge("run")
    assert done.returncode == 0, done.stderr
    digests = made.digests()

    def folder(key: str) -> Path:
        return made.home / "artifacts" / key / digests[key]

    scorecard = json.loads((folder("mine/scorecard") / "content" / "scorecard.json").read_bytes())
    assert list(scorecard["checkpoints"]) == ["untrained", "base", "sft", "merge", "kto", "distill", "sft-again"]
    (record,) = (folder("mine/distill_checkpoint") / "records").iterdir()
    teacher = json.loads(record.read_bytes())["identity"]["inputs"]["teacher"]
    assert teacher == {"key": "large/sft_checkpoint", "digest": digests["large/sft_checkpoint"]}
    assert "mine/release" in digests
    assert made.forge("verify", "--all").returncode == 0
