"""A recipe's stages in any sequence that makes sense: what each reads, what is scored, and what is refused."""

from typing import Any

import pytest
import yaml

from assets.models import model_hops
from assets.weights import weights_hops
from forge_dagster.chain import chain, scored, teachers_exist
from forge_dagster.declared import Declared
from forge_dagster.errors import RecipeError
from forge_dagster.home import PROJECT
from forge_dagster.recipe import Recipe

BASE = {"stage": "base", "settings": {}}
LORA = {"stage": "sft", "name": "sft-lora", "settings": {"lora": {"rank": 2, "alpha": 4, "modules": ["q_proj"]}}}
MERGE = {"stage": "merge", "settings": {}}
SFT = {"stage": "sft", "settings": {}}
PUBLISHED = {"name": "published", "location": "p", "origin": "a test", "licence": "MIT"}
JUDGE = {"name": "judge", "share": 0.5}
ONLINE = {"stage": "preference_online", "settings": {"reward_model": JUDGE}}


def recipe(*stages: dict[str, Any], name: str = "mine") -> Recipe:
    made = yaml.safe_load((PROJECT / "recipes" / "tiny-dense.yaml").read_text())
    return Recipe.model_validate(made | {"name": name, "stages": list(stages)})


def reads(found: Recipe) -> dict[str, dict[str, str]]:
    return {link.entry.called: dict(link.reads) for link in chain(found)}


def test_any_sequence_the_same_kind_twice():
    found = recipe(
        BASE,
        SFT,
        {"stage": "sft", "name": "sft-house", "settings": {}},
        {"stage": "reward_model", "name": "judge", "settings": {}},
        ONLINE,
        LORA,
        MERGE,
        {"stage": "rloo", "settings": {"reward_model": JUDGE}},
        {"stage": "distill", "settings": {"teacher": "large/rl"}},
    )
    assert reads(found) == {
        "base": {},
        "sft": {"previous": "mine/base_checkpoint"},
        "sft-house": {"previous": "mine/sft_checkpoint"},
        "judge": {"previous": "mine/sft-house_checkpoint"},
        "preference_online": {"previous": "mine/sft-house_checkpoint", "reward_model": "mine/judge_checkpoint"},
        "sft-lora": {"previous": "mine/preference_online_checkpoint"},
        "merge": {"previous": "mine/preference_online_checkpoint", "adapter": "mine/sft-lora_checkpoint"},
        "rloo": {"previous": "mine/merge_checkpoint", "reward_model": "mine/judge_checkpoint"},
        "distill": {"previous": "mine/rloo_checkpoint", "teacher": "large/rl_checkpoint"},
    }
    assert scored(found) == ("base", "sft", "sft-house", "preference_online", "merge", "rloo", "distill")


def test_the_graph_has_an_artifact_of_each_and_scores_the_whole_models():
    found = recipe(BASE, SFT, LORA, MERGE)
    declared = Declared(sources={}, recipes={"mine": found}, policies={}, pairs={})
    hops = {hop.key: hop for hop in model_hops(declared)}
    assert list(hops) == [
        *(f"mine/{name}_checkpoint" for name in ("base", "sft", "sft-lora", "merge")), "mine/scorecard", "mine/release",
    ]  # fmt: skip
    assert hops["mine/merge_checkpoint"].inputs == {
        "tokenizer": "tokenizer/bpe-2048",
        "previous": "mine/sft_checkpoint",
        "adapter": "mine/sft-lora_checkpoint",
    }
    checkpoints = {name: key for name, key in hops["mine/scorecard"].inputs.items() if name.startswith("checkpoint/")}
    assert checkpoints == {f"checkpoint/{name}": f"mine/{name}_checkpoint" for name in ("base", "sft", "merge")}
    assert hops["mine/release"].inputs["checkpoint"] == "mine/merge_checkpoint"


def test_each_entry_has_its_own_settings():
    given = yaml.safe_load((PROJECT / "recipes" / "tiny-dense.yaml").read_text())["stages"]
    again = {**given[1], "name": "again", "settings": given[1]["settings"] | {"epochs": 7}}
    declared = Declared(sources={}, recipes={"mine": recipe(given[0], given[1], again)}, policies={}, pairs={})
    hops = {hop.key: hop for hop in model_hops(declared)}
    epochs = [hops[f"mine/{name}_checkpoint"].config(declared).settings.epochs for name in ("sft", "again")]
    assert epochs == [3, 7]


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([BASE, LORA, {"stage": "rl", "settings": {}}], "'rl' .rl. after 'sft-lora'"),
        ([BASE, MERGE], "'merge' .merge. after 'base'"),
        ([BASE, LORA], "the last stage, 'sft-lora', makes no whole language model"),
        ([BASE, {"stage": "reward_model", "settings": {}}], "the last stage, 'reward_model'"),
        (
            [BASE, ONLINE],
            "names the reward model 'judge'",
        ),
        ([BASE, {"stage": "distill", "settings": {"teacher": "large"}}], "names the teacher 'large'"),
        ([BASE, {"stage": "unheard", "settings": {}}], "a stage is one of base, continued, distill, kto"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(stages: list[dict[str, Any]], words: str):
    with pytest.raises(RecipeError, match=words):
        chain(recipe(*stages))


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([{"stage": "sft", "settings": {}}], "the first stage is 'sft'"),
        ([BASE, {"stage": "base", "name": "again", "settings": {}}], "base is the first stage or none"),
        ([BASE, {"stage": "continued", "settings": {}}], "continued is the first stage or none"),
        (
            [BASE, SFT, SFT],
            "give one that comes again a `name`",
        ),
        ([BASE, {"stage": "sft", "name": "untrained", "settings": {}}], "the model before its first stage"),
    ],
)
def test_a_recipe_names_its_stages_well(stages: list[dict[str, Any]], words: str):
    with pytest.raises(ValueError, match=words):
        recipe(*stages)


def test_a_teacher_is_a_whole_model_of_another_recipe():
    large = recipe(BASE, LORA, MERGE, name="large")

    def student(teacher: str) -> dict[str, Recipe]:
        found = recipe(BASE, {"stage": "distill", "settings": {"teacher": teacher}})
        return {"mine": found, "large": large}

    teachers_exist(student("large/merge"))
    declares = student("external/published")
    declares["mine"] = Recipe.model_validate({**declares["mine"].model_dump(), "teachers": [PUBLISHED]})
    teachers_exist(declares)
    declared = Declared(sources={}, recipes=declares, policies={}, pairs={})
    hops = {hop.key: hop for hop in model_hops(declared)}
    assert hops["mine/distill_checkpoint"].inputs["teacher"] == "external/published"
    assert [hop.key for hop in weights_hops(declared)] == ["external/published"]
    for teacher in ("large/sft-lora", "mine/base", "external/unheard", "nobody/base"):
        with pytest.raises(RecipeError, match="learns from"):
            teachers_exist(student(teacher))
