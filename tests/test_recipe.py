"""Recipes and sources: every broken rule is named with its value."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from forge_dagster.declared import load_declared, training_job
from forge_dagster.errors import RecipeError, SourceError
from forge_dagster.home import PROJECT
from forge_dagster.policy import load_policy
from forge_dagster.policy_kinds import policy_settings
from forge_dagster.recipe import load_recipe
from forge_dagster.source import load_source, load_sources


@pytest.fixture
def recipe() -> dict[str, Any]:
    return yaml.safe_load((PROJECT / "recipes" / "tiny-moe.yaml").read_text())


def broken(tmp_path: Path, recipe: dict[str, Any]) -> str:
    path = tmp_path / "tiny-moe.yaml"
    path.write_text(yaml.safe_dump(recipe))
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    return str(caught.value)


def test_the_recipes_of_the_project_are_sound():
    declared = load_declared()
    assert {"tiny-dense", "tiny-moe"} <= set(declared.recipes)
    for found in declared.recipes.values():
        for entry in found.stages:
            training_job(found, entry)


def test_an_unknown_key_is_named(tmp_path: Path, recipe: dict[str, Any]):
    recipe["model"]["hiden_size"] = 3
    message = broken(tmp_path, recipe)
    assert "model.hiden_size = 3: unknown key" in message
    assert "Mend:" in message


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"heads": 5}, "heads = 5 does not divide hidden_size = 192"),
        ({"kv_heads": 2}, "kv_heads = 2 does not divide heads = 3"),
        ({"experts": 2, "experts_per_token": 4}, "experts = 2 < experts_per_token = 4"),
        ({"head_dim": 7}, "head_dim = 7 is odd"),
        ({"experts": None}, "needs experts"),
        ({"architecture": "qwen3"}, "is dense"),
        ({"architecture": "gpt5"}, "architecture = 'gpt5'"),
        ({"layers": 0}, "layers = 0"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(tmp_path: Path, recipe, change: dict[str, Any], expected: str):
    recipe["model"] |= change
    assert expected in broken(tmp_path, recipe)


def test_a_gate_asks_something(tmp_path: Path, recipe):
    recipe["gates"] = [{"metric": "facts_seen.acc"}]
    assert "a gate sets one of minimum" in broken(tmp_path, recipe)


def test_stages_begin_with_base_and_have_names(tmp_path: Path, recipe):
    recipe["stages"] = recipe["stages"][1:]
    assert "begins with base" in broken(tmp_path, recipe)
    recipe["stages"] = [{"stage": "base", "settings": {}}] + [{"stage": "sft", "settings": {}}] * 2
    assert "each has a name of its own" in broken(tmp_path, recipe)


CONTINUED = PROJECT / "benchmarks" / "continued.yaml"


@pytest.fixture
def further(tmp_path: Path) -> dict[str, Any]:
    return yaml.safe_load(CONTINUED.read_text()) | {"name": "tiny-moe"}


def test_a_recipe_from_open_weights_is_sound(tmp_path: Path, further):
    path = tmp_path / "tiny-moe.yaml"
    path.write_text(yaml.safe_dump(further))
    found = load_recipe(path)
    assert found.tokenizer_name == "smollm2-135m-instruct-plus-500-domain"
    assert training_job(found, found.stages[0]).model is None


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"weights": None}, "either `model` (from scratch) or `weights`"),
        ({"tokenizer": {"kind": "byte-bpe", "vocab_size": 300}}, "`inherited` goes with `weights`"),
        ({"tokenizer": {"kind": "other"}}, "tokenizer"),
        ({"stages": [{"stage": "base", "settings": {}}]}, "the first stage is 'base'"),
        ({"weights": {"name": "x", "location": "y", "origin": "", "licence": "MIT"}}, "weights.origin = ''"),
    ],
)
def test_a_recipe_from_open_weights_that_cannot_be_is_refused(tmp_path: Path, further, change, expected: str):
    assert expected in broken(tmp_path, further | change)


def test_both_a_shape_and_weights_are_refused(tmp_path: Path, recipe, further):
    assert "either `model`" in broken(tmp_path, recipe | {"weights": further["weights"]})


def test_one_name_of_weights_means_one_set(tmp_path: Path, further, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORGE_RECIPES", str(tmp_path))
    further["tokenizer"]["domain_sources"] = []
    mixture = further["stages"][0]["settings"]["mixture"]["sources"]
    mixture["sample"] = mixture.pop("domain")
    mixture["general"] = mixture["general"] | {"weight": 1}
    for name, licence in (("one", "MIT"), ("two", "Apache-2.0")):
        recipe = further | {"name": name, "weights": further["weights"] | {"licence": licence}}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(RecipeError, match=r"mixture or tokenizer name source general\nRule: a source is one of sample"):
        load_declared()
    (tmp_path / "sources").mkdir()
    sample = (PROJECT / "sources" / "sample.yaml").read_text().replace("../data", str(PROJECT / "data"))
    for name in ("sample", "general"):
        (tmp_path / "sources" / f"{name}.yaml").write_text(sample.replace("name: sample", f"name: {name}"))
    monkeypatch.setenv("FORGE_SOURCES", str(tmp_path / "sources"))
    with pytest.raises(RecipeError, match="weights smollm2-135m-instruct is declared otherwise"):
        load_declared()


def test_the_name_is_the_file_name(tmp_path: Path, recipe):
    recipe["name"] = "other"
    assert "the name equals the file name" in broken(tmp_path, recipe)


def test_what_is_no_yaml_mapping_is_refused(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("- a\n")
    with pytest.raises(RecipeError, match="top level is a mapping"):
        load_recipe(path)
    path.write_text("a: [")
    with pytest.raises(RecipeError, match="not valid YAML"):
        load_recipe(path)


def test_stage_settings_are_checked(tmp_path: Path, recipe):
    path = tmp_path / "tiny-moe.yaml"
    recipe["stages"][0]["settings"]["batch_tokens"] = 4000
    path.write_text(yaml.safe_dump(recipe))
    found = load_recipe(path)
    with pytest.raises(RecipeError, match="batch_tokens = 4000"):
        training_job(found, found.stages[0])
    recipe["stages"][0]["stage"] = "base"
    recipe["stages"][1]["stage"] = "distil"
    path.write_text(yaml.safe_dump(recipe))
    found = load_recipe(path)
    with pytest.raises(RecipeError, match="a stage is one of base, continued, distill, kto, merge"):
        training_job(found, found.stages[1])


@pytest.mark.parametrize("field", ["facts", "canaries"])
def test_a_file_beside_a_source_is_there_before_anything_runs(tmp_path: Path, field: str):
    source = yaml.safe_load((PROJECT / "sources" / "sample.yaml").read_text())
    others = {"location": ".", "facts": None, "canaries": None}
    path = tmp_path / "sample.yaml"
    path.write_text(yaml.safe_dump({**source, **others, field: "gone.jsonl"}))
    with pytest.raises(RecipeError, match=f"{field} = 'gone.jsonl', and .* is no file"):
        load_source(path)
    (tmp_path / "gone.jsonl").touch()
    assert getattr(load_source(path), field) == tmp_path / "gone.jsonl"


def test_sources(tmp_path: Path):
    with pytest.raises(SourceError, match="no source file"):
        load_sources(tmp_path)
    path = tmp_path / "docs.yaml"
    path.write_text("name: docs\nkind: folder\n")
    with pytest.raises(RecipeError, match="location"):
        load_source(path)
    assert load_source(PROJECT / "sources" / "sample.yaml").location.endswith("documents")


@pytest.mark.parametrize(
    ("change", "expected"),
    [({"form": "("}, "no regular expression"), ({"form": "No.*"}, "does not match"), ({"template": "x"}, "has no")],
)
def test_a_policy_that_contradicts_itself_is_refused(tmp_path: Path, change: dict[str, str], expected: str):
    policy = yaml.safe_load((PROJECT / "policies" / "answer-form.yaml").read_text())
    policy["settings"] |= change
    path = tmp_path / "answer-form.yaml"
    path.write_text(yaml.safe_dump(policy))
    with pytest.raises(RecipeError, match=expected):
        policy_settings(load_policy(path))


def test_a_gain_needs_the_noise_it_must_exceed(tmp_path: Path, recipe):
    recipe["gates"] = [{"metric": "facts_seen.acc", "gain": 0.02}]
    assert "noise.facts_seen.acc is not set" in broken(tmp_path, recipe | {"noise": {}, "noise_seeds": None})


@pytest.mark.parametrize(
    "half", [{"noise": {"facts_seen.acc": 0.01}, "noise_seeds": None}, {"noise": {}, "noise_seeds": 4}]
)
def test_noise_says_how_many_trainings_it_is_of(tmp_path: Path, recipe, half: dict[str, Any]):
    assert "noise goes with noise_seeds" in broken(tmp_path, recipe | half)


def test_only_what_follows_a_beginning_can_forget_it(tmp_path: Path, recipe):
    recipe["stages"] = recipe["stages"][:1]
    recipe["gates"] = [{"metric": "validation.bits_per_byte", "forgetting": 0.02}]
    assert "nothing comes after base" in broken(tmp_path, recipe)


def test_the_name_of_the_model_that_serves_is_taken(tmp_path: Path, recipe):
    recipe["stages"][1]["name"] = "incumbent"
    assert "incumbent the one that serves" in broken(tmp_path, recipe)
