"""Exports in the graph: by architecture, of the release that serves, in a job of their own."""

from pathlib import Path

import yaml
from lineage_store import commit

from assets.asset import dagster_key
from assets.exports import export_hops
from forge_dagster.declared import load_declared
from forge_dagster.export import ExportPolicy
from forge_dagster.home import PROJECT, Home
from forge_dagster.provenance.incumbent import served
from forge_dagster.provenance.store import ArtifactStore


def test_a_recipe_has_the_exports_that_its_architecture_has():
    keys = {hop.key for hop in export_hops(load_declared())}
    assert {"export/tiny-dense/gguf/q8_0", "export/tiny-dense/ct2/int8", "export/tiny-dense/onnx/float32"} <= keys
    assert {"export/tiny-moe/gguf/q8_0", "export/tiny-moe/onnx/float32"} <= keys
    assert not [key for key in keys if key.startswith("export/tiny-moe/ct2")]


def test_what_may_be_lost_stands_in_a_file_of_the_recipe(tmp_path: Path, monkeypatch):
    (tmp_path / "exports").mkdir()
    text = (PROJECT / "recipes" / "tiny-dense.yaml").read_text()
    (tmp_path / "tiny-dense.yaml").write_text(text)
    (tmp_path / "exports" / "tiny-dense.yaml").write_text(yaml.safe_dump({"name": "tiny-dense", "max_loss": 0.01}))
    monkeypatch.setenv("FORGE_RECIPES", str(tmp_path))
    declared = load_declared()
    assert {hop.config(declared).policy.max_loss for hop in export_hops(declared)} == {0.01}
    loosened = declared.model_copy(update={"exports": {"tiny-dense": ExportPolicy(name="tiny-dense", max_loss=0.5)}})
    assert {hop.config(loosened).policy.max_loss for hop in export_hops(declared)} == {0.5}


def test_an_export_is_of_the_release_that_serves_and_of_what_it_was_judged_on(home: Home):
    store, refs = ArtifactStore(home.artifacts), []
    for number in range(2):
        refs.append({
            name: commit(home, name, {}, lambda out, n=number: (out / "x").write_text(str(n)), {})
            for name in ("corpus", "domain_benchmark")
        })  # fmt: skip
        refs[-1]["release"] = commit(
            home, "tiny-dense/release", refs[-1], lambda out, n=number: (out / "x").write_text(str(n)), {}
        )
    hop = next(hop for hop in export_hops(load_declared()) if hop.key == "export/tiny-dense/gguf/f16")
    serving = hop.serving(load_declared())
    assert served(store, serving, store.serving("tiny-dense/release"), {}) == refs[1]
    store.serve("tiny-dense/release", refs[0]["release"].digest)
    assert served(store, serving, store.serving("tiny-dense/release"), {}) == refs[0]
    assert served(store, serving, None, {}) == {}


def test_dagster_draws_an_export_after_its_release_and_starts_it_in_its_own_job():
    from forge_dagster.definitions import defs

    key = dagster_key("export/tiny-dense/gguf/f16")
    graph = defs.resolve_asset_graph()
    assert graph.get(key).parent_keys == {dagster_key("tiny-dense/release")}
    assert key in defs.resolve_job_def("export").asset_layer.executable_asset_keys
    for job in ("models", "recipe_tiny_dense"):
        assert key not in defs.resolve_job_def(job).asset_layer.executable_asset_keys
