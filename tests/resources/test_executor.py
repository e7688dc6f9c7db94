"""The fork server of steps loads what the steps to come import, and nothing else that takes long."""

import importlib.util

from assets.graph import all_hops
from forge_dagster.declared import load_declared
from resources.executor import ALWAYS, DOCUMENTS, LIBRARIES, execution_config


def loaded_for(*assets: str) -> list[str]:
    hops = [hop for hop in all_hops(load_declared()) if hop.asset in assets]
    return list(execution_config({hop.module for hop in hops})["preload"])


def test_what_a_stage_names_in_its_source_is_loaded_for_it():
    assert loaded_for("raw_documents", "document_split") == DOCUMENTS == [*ALWAYS, "great_expectations"]
    assert loaded_for("tiny-dense/base_checkpoint") == [*ALWAYS, "torch", "transformers"]
    for_rl = loaded_for("tiny-dense/rl_checkpoint", "tiny-dense/scorecard")
    assert {*LIBRARIES["trl"], *LIBRARIES["lm_eval"], "datasets"} <= set(for_rl)
    assert "great_expectations" not in for_rl


def test_every_module_is_there():
    for module in (*ALWAYS, *(each for them in LIBRARIES.values() for each in them)):
        assert importlib.util.find_spec(module) is not None
