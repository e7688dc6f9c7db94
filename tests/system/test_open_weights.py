"""Open weights all the way: a folder of them is scanned, continued with replayed text, tuned, scored, released."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from foreign_model import write_folder
from nano import Organisation, nano_recipe
from transformers import AutoModelForCausalLM, AutoTokenizer

from forge_dagster.sample.generate import generate

pytestmark = pytest.mark.system


def test_from_a_folder_of_weights_to_a_release(organisation: Callable[[], Organisation]):
    made = organisation()
    generate(80, 11, made.root / "general")
    source = yaml.safe_load((made.root / "sources" / "sample.yaml").read_text())
    general = source | {"name": "general", "location": "../general/documents", "facts": None, "canaries": None}
    (made.root / "sources" / "general.yaml").write_text(yaml.safe_dump(general))
    recipe = nano_recipe("onward")
    base, sft = recipe["stages"][:2]
    del recipe["model"]
    base["settings"] |= {
        "sequence_length": 128,
        "muon_lr": 0.002,
        "embedding_lr": 0.001,
        "mixture": {"sources": {name: {"weight": 1, "epochs": 3} for name in ("sample", "general")}},
        "replay": "general",
    }
    recipe |= {
        "tokenizer": {"kind": "inherited", "domain_tokens": 100, "domain_sources": ["sample"]},
        "weights": {
            "name": "published",
            "location": str(write_folder(made.root / "published")),
            "origin": "https://example.org/published",
            "licence": "Apache-2.0",
        },
        "stages": [base | {"stage": "continued"}, sft],
    }
    (made.root / "recipes" / "nano.yaml").unlink()
    (made.root / "recipes" / "onward.yaml").write_text(yaml.safe_dump(recipe))
    done = made.forge("run")
    assert done.returncode == 0, done.stderr
    digests = made.digests()

    def content(key: str) -> Path:
        return made.home / "artifacts" / key / digests[key] / "content"

    released = content("onward/release")
    assert "https://example.org/published" in (released / "README.md").read_text()
    scores = json.loads((released / "scorecard.json").read_bytes())["checkpoints"]
    assert list(scores) == ["untrained", "continued", "sft"]
    told = json.loads((content("onward/continued_checkpoint") / "forgetting.json").read_bytes())["sources"]
    assert told.keys() == {"sample", "general"}
    assert told["sample"]["after"] < told["sample"]["before"]
    AutoModelForCausalLM.from_pretrained(released / "model", local_files_only=True)
    tokenizer = AutoTokenizer.from_pretrained(released / "model", local_files_only=True)
    assert tokenizer.decode(tokenizer("Answer: 45 kW.").input_ids) == "Answer: 45 kW."
    assert made.forge("verify", "onward/release").returncode == 0
