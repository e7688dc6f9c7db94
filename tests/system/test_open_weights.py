"""Open weights all the way: a folder of them is scanned, continued with replayed text, tuned, scored, released."""

import json
from collections.abc import Callable

import pytest
import yaml
from nano import Organisation, nano_recipe
from transformers import AutoModelForCausalLM, AutoTokenizer

from forge_dagster.sample.generate import generate

pytestmark = pytest.mark.system


def test_from_a_folder_of_weights_to_a_release(organisation: Callable[[], Organisation], undisturbed: Organisation):
    release = undisturbed.home / "artifacts" / "nano" / "release"
    weights = release / (release / "CURRENT").read_text().strip() / "content" / "model"
    made = organisation()
    generate(80, 11, made.root / "general")
    general = yaml.safe_load((made.root / "sources" / "sample.yaml").read_text())
    general |= {"name": "general", "location": "../general/documents", "facts": None, "canaries": None}
    (made.root / "sources" / "general.yaml").write_text(yaml.safe_dump(general))
    recipe = nano_recipe("onward")
    base = next(entry for entry in recipe["stages"] if entry["stage"] == "base")
    base["stage"] = "continued"
    base["settings"] |= {
        "tokens": 40_960,
        "sequence_length": 128,
        "muon_lr": 0.002,
        "embedding_lr": 0.001,
        "mixture": {"sources": {name: {"weight": 1, "epochs": 3} for name in ("sample", "general")}},
        "replay": "general",
    }
    del recipe["model"]
    recipe |= {
        "tokenizer": {"kind": "inherited", "domain_tokens": 0},
        "weights": {
            "name": "nano",
            "location": str(weights),
            "origin": "made by the recipe nano",
            "licence": "Apache-2.0",
        },
    }
    (made.root / "recipes" / "nano.yaml").write_text(yaml.safe_dump(recipe))
    (made.root / "recipes" / "nano.yaml").rename(made.root / "recipes" / "onward.yaml")
    done = made.forge("run")
    assert done.returncode == 0, done.stderr
    digests = made.digests()
    content = made.home / "artifacts" / "onward/release" / digests["onward/release"] / "content"
    card = (content / "README.md").read_text()
    assert "made by the recipe nano" in card
    scores = json.loads((content / "scorecard.json").read_text())["checkpoints"]
    assert list(scores) == ["untrained", "continued", "sft", "preference", "rl"]
    continued = (
        made.home / "artifacts" / "onward/continued_checkpoint" / digests["onward/continued_checkpoint"] / "content"
    )
    told = json.loads((continued / "forgetting.json").read_text())["sources"]
    assert told.keys() == {"sample", "general"}
    AutoModelForCausalLM.from_pretrained(content / "model", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(content / "model", local_files_only=True)
    assert tokenizer.decode(tokenizer("Answer: 45 kW.").input_ids) == "Answer: 45 kW."
    assert made.forge("verify", "onward/release").returncode == 0
