"""The graph grows by files alone: a recipe file gives its assets, a source file its partitions."""

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from assets.asset import dagster_assets
from assets.dvc import dvc_yaml
from assets.graph import all_hops
from forge_dagster.declared import load_declared
from forge_dagster.errors import RecipeError, WeightsError
from forge_dagster.evaluation.statistics import noise_floor
from forge_dagster.home import PROJECT, home
from forge_dagster.override import Override, add_override
from forge_dagster.provenance.ledger import Ledger


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copies of recipes/ and sources/ that a test may add to."""
    for kind in ("recipes", "sources"):
        (tmp_path / kind).mkdir()
        for path in (PROJECT / kind).glob("*.yaml"):
            text = path.read_text().replace("../data", str(PROJECT / "data"))  # paths begin at the file
            (tmp_path / kind / path.name).write_text(text)
        monkeypatch.setenv(f"FORGE_{kind.upper()}", str(tmp_path / kind))
    return tmp_path


def keys() -> set[str]:
    return {hop.key for hop in all_hops(load_declared())}


def test_a_recipe_file_adds_its_chain(folders: Path):
    before = keys()
    recipe = yaml.safe_load((folders / "recipes" / "tiny-dense.yaml").read_text())
    recipe["name"] = "mine"
    recipe["stages"] = recipe["stages"][:2]
    (folders / "recipes" / "mine.yaml").write_text(yaml.safe_dump(recipe))
    assert keys() - before == {"mine/base_checkpoint", "mine/sft_checkpoint", "mine/scorecard", "mine/release"}


def test_a_release_names_the_pairs_that_its_stages_read(folders: Path):
    recipe = yaml.safe_load((folders / "recipes" / "tiny-dense.yaml").read_text())
    for name, stages in (("plain", 1), ("asked", 2)):
        shorter = recipe | {"name": name, "stages": recipe["stages"][:stages]}
        (folders / "recipes" / f"{name}.yaml").write_text(yaml.safe_dump(shorter))
    (folders / "sources" / "pairs").mkdir()
    for name, kind, licence in (("helpdesk", "chat", "unknown"), ("ranked", "preference", "CC-BY-4.0")):
        pairs = {"name": name, "kind": kind, "location": f"{name}.jsonl", "owner": "we", "licence": licence}
        (folders / "sources" / "pairs" / f"{name}.yaml").write_text(yaml.safe_dump(pairs))
    declared = load_declared()
    by_key = {hop.key: hop for hop in all_hops(declared)}

    def named(recipe: str) -> dict[str, str]:
        return {each.name: each.licence for each in by_key[f"{recipe}/release"].config(declared).pairs}

    assert named("plain") == {}
    assert named("asked") == {"helpdesk": "unknown"}
    assert named("tiny-dense") == {"helpdesk": "unknown", "ranked": "CC-BY-4.0"}


def test_measured_noise_makes_no_model_anew(folders: Path):
    def configured(noise: dict[str, object]) -> dict[str, Any]:
        path = folders / "recipes" / "tiny-dense.yaml"
        path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | noise))
        declared = load_declared()
        return {hop.key: hop.config(declared) for hop in all_hops(declared)}

    before = configured({"noise": {}, "noise_seeds": None})
    after = configured({"noise": {"answers.form": 0.01}, "noise_seeds": 4})
    changed = {key for key, config in after.items() if config != before[key]}
    assert changed == {f"tiny-dense/{name}" for name in ("scorecard", "release")}
    assert before["tiny-dense/scorecard"].noise == {}
    assert after["tiny-dense/scorecard"].noise == {"answers.form": noise_floor(0.01, 4)}


def test_what_the_ledger_states_of_overrides_is_an_input_of_the_release(
    folders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("FORGE_HOME", str(tmp_path / "home"))
    hops = {hop.key: hop for hop in all_hops(load_declared())}
    assert "ledger" not in hops["tiny-dense/release"].external(load_declared())
    override = Override(
        metric="answers.form", checkpoint="0" * 64, reason="a test of it", by="Ada", approved_by="Grace",
        made=date(2026, 11, 24),
    )  # fmt: skip
    add_override(folders / "recipes" / "overrides", "tiny-dense", override)
    found = hops["tiny-dense/release"].external(load_declared())["ledger"]
    ledger, before = Ledger(home().ledger), found.measure()
    ledger.append("override", {"recipe": "tiny-moe"})
    assert found.measure() == before
    ledger.append("override", {"recipe": "tiny-dense"})
    assert found.measure() != before
    assert "ledger" not in hops["tiny-moe/release"].external(load_declared())


def test_a_recipe_from_open_weights_adds_them_and_its_tokenizer(folders: Path):
    before = keys()
    recipe = yaml.safe_load((PROJECT / "benchmarks" / "continued.yaml").read_text())
    for name in ("domain", "general"):
        source = yaml.safe_load((folders / "sources" / "sample.yaml").read_text()) | {"name": name, "facts": None}
        (folders / "sources" / f"{name}.yaml").write_text(yaml.safe_dump(source))
    recipe["weights"]["location"] = "model.gguf"
    (folders / "recipes" / "smollm2-domain.yaml").write_text(yaml.safe_dump(recipe))
    tokens = "smollm2-135m-instruct-plus-500-domain"
    assert {key for key in keys() - before if "_documents" not in key} == {
        "external/smollm2-135m-instruct", f"tokenizer/{tokens}", f"token_shards/{tokens}",
        "smollm2-domain/continued_checkpoint", "smollm2-domain/scorecard", "smollm2-domain/release",
    }  # fmt: skip
    declared = load_declared()
    by_key = {hop.key: hop for hop in all_hops(declared)}
    external = by_key["external/smollm2-135m-instruct"].external(declared)
    assert external["weights"].path == folders / "recipes" / "model.gguf"
    assert by_key["smollm2-domain/continued_checkpoint"].inputs["weights"] == "external/smollm2-135m-instruct"
    with pytest.raises(WeightsError, match=r"model\.gguf does not exist"):
        external["weights"].measure()
    assert "recipes/external.yaml" not in dvc_yaml(all_hops(declared))


def test_a_general_tokenizer_becomes_an_input(folders: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORGE_GENERAL_TOKENIZER", str(folders / "other.json"))
    (folders / "other.json").write_text("{}")
    declared = load_declared()
    hop = next(hop for hop in all_hops(declared) if hop.key == "tokenizer/bpe-2048")
    assert hop.order(declared).external["general_tokenizer"].path == folders / "other.json"


def test_a_source_file_adds_its_partition(folders: Path):
    before = keys()
    source = yaml.safe_load((folders / "sources" / "sample.yaml").read_text())
    del source["facts"]
    (folders / "sources" / "handbooks.yaml").write_text(yaml.safe_dump(source | {"name": "handbooks"}))
    assert keys() - before == {"raw_documents/handbooks", "clean_documents/handbooks"}
    raw = dagster_assets(all_hops(load_declared()))[0]
    assert raw.partitions_def == dg.StaticPartitionsDefinition(["handbooks", "sample"])


def test_a_source_in_shards_has_a_partition_a_shard(folders: Path):
    path = folders / "sources" / "sample.yaml"
    path.write_text(path.read_text() + "shards: 3\n")
    hops = all_hops(load_declared())
    names = ["sample-1of3", "sample-2of3", "sample-3of3"]
    assert [hop.partition for hop in hops if hop.asset == "raw_documents"] == names
    split = next(hop for hop in hops if hop.asset == "document_split")
    clean, bands = [f"clean_documents/{name}" for name in names], ["00-10", "11-20", "21-31"]
    assert list(split.inputs) == [*clean, *(f"near_duplicates/{each}" for each in bands)]
    assert [list(hop.inputs) for hop in hops if hop.key in split.inputs and hop.partition is None] == [clean] * 3
    assert dagster_assets(hops)[0].partitions_def == dg.StaticPartitionsDefinition(names)
    stage = yaml.safe_load(dvc_yaml(hops))["stages"]["raw_documents--sample-2of3"]
    assert stage["cmd"] == "forge run --select raw_documents/sample-2of3"
    assert stage["deps"] == ["sources/sample.yaml"]


def test_inputs_come_before_their_users():
    seen: set[str] = set()
    for hop in all_hops(load_declared()):
        assert set(hop.inputs.values()) <= seen
        seen.add(hop.key)


def test_every_asset_says_what_it_is():
    for asset in dagster_assets(all_hops(load_declared())):
        for spec in asset.specs:
            assert spec.description
            assert spec.code_version
            assert spec.group_name
            assert spec.kinds
    from forge_dagster.definitions import defs

    assert all(spec.owners for spec in defs.resolve_all_asset_specs())


def test_dvc_yaml_is_current():
    assert (PROJECT / "dvc.yaml").read_text() == dvc_yaml(all_hops(load_declared())), "run: python -m assets.dvc"


def test_files_of_pairs_become_inputs_and_a_model_an_asset(folders: Path):
    pairs = folders / "sources" / "pairs"
    pairs.mkdir()
    given = {"location": "ours.jsonl", "owner": "we", "licence": "internal"}
    for name, kind in (("talk", "chat"), ("taste", "preference")):
        (pairs / f"{name}.yaml").write_text(yaml.safe_dump({**given, "name": name, "kind": kind}))
    model = {
        "name": "house", "kind": "endpoint", "location": "http://127.0.0.1:9/v1", "model": "m", "licence": "MIT",
        "seed": 1, "temperature": 0, "max_tokens": 64, "passages": 4, "passage_characters": 400, "pairs": 1,
        "timeout": 1, "attempts": 1, "failures_in_a_row": 1,
    }  # fmt: skip
    (pairs / "house.yaml").write_text(yaml.safe_dump(model))
    (pairs / "ours.jsonl").write_text("{}")
    declared = load_declared()
    hops = {hop.key: hop for hop in all_hops(declared)}
    assert hops["instructions"].inputs["generated/house"] == "generated/house"
    external = {key: dict(hops[key].order(declared).external) for key in ("instructions", "preferences")}
    assert external["instructions"]["given/talk"].path == pairs / "ours.jsonl"
    assert len(external["instructions"]["given/talk"].measure()) == 64
    assert set(external["preferences"]) == {"given/taste"}
    stages = yaml.safe_load(dvc_yaml(list(hops.values())))["stages"]
    assert "sources/pairs/house.yaml" in stages["generated--house"]["deps"]


CONTINUE = {"method": "continue", "continuation": {"tokens": 81920, "rate": 0.3, "replay": 0.5, "epochs": 4}}


def _policy(folders: Path, name: str, **policy: object) -> None:
    (folders / "recipes" / "retraining").mkdir(exist_ok=True)
    (folders / "recipes" / "retraining" / f"{name}.yaml").write_text(yaml.safe_dump({"name": name, **policy}))


def test_a_policy_lets_the_first_stage_go_on_and_keeps_the_tokenizer(folders: Path):
    declared = load_declared()
    by_key = {hop.key: hop for hop in all_hops(declared)}
    base, tokenizer = by_key["tiny-dense/base_checkpoint"], by_key["tokenizer/bpe-2048"]
    assert (base.serving(declared), tokenizer.kept_by(declared)) == (None, ())
    _policy(folders, "tiny-dense", **CONTINUE)
    declared = load_declared()
    going_on = base.serving(declared)
    settings = going_on.config.settings
    assert (settings.tokens, settings.going_on.share, settings.muon_lr) == (81920, 0.5, pytest.approx(0.006))
    assert tokenizer.kept_by(declared) == ("tiny-dense/release",)
    assert by_key["tiny-moe/base_checkpoint"].serving(declared) is None
    assert by_key["tiny-dense/sft_checkpoint"].serving(declared) is None
    assert base.serving(declared.in_full()) is None
    assert tokenizer.kept_by(declared.in_full()) == ()


@pytest.mark.parametrize(
    ("policy", "settings", "said"),
    [
        ({"method": "continue"}, {}, "continuation is missing"),
        ({"continuation": CONTINUE["continuation"]}, {}, "continuation is given"),
        ({"method": "continue", "continuation": CONTINUE["continuation"] | {"replay": 0}}, {}, "replay"),
        ({"method": "continue", "continuation": CONTINUE["continuation"] | {"tokens": 9}}, {}, "less than one batch"),
        (CONTINUE, {"mixture": {"sources": {"sample": {"weight": 1, "epochs": 9}}}}, "begins with base on a mixture"),
        ({}, {"going_on": {"share": 0.5, "epochs": 4}}, "going_on is set"),
    ],
)
def test_a_policy_that_cannot_go_on_is_refused(
    folders: Path, policy: dict[str, object], settings: dict[str, object], said: str
):
    _policy(folders, "tiny-dense", **policy)
    path = folders / "recipes" / "tiny-dense.yaml"
    recipe = yaml.safe_load(path.read_text())
    recipe["stages"][0]["settings"] |= settings
    path.write_text(yaml.safe_dump(recipe))
    with pytest.raises(RecipeError, match=said):
        load_declared()
