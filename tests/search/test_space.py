"""What a study may try: everything else is refused with the rule, before anything is trained."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from forge_dagster.declared import load_declared
from forge_dagster.errors import RecipeError, UserError
from forge_dagster.home import PROJECT
from forge_dagster.recipe import Recipe, load_recipe
from forge_dagster.search.space import check_study, job_of, own_point, proposed, usual_space
from forge_dagster.study import Study, Values, load_study

SOURCES = frozenset({"handbook"})


@pytest.fixture
def dense() -> Recipe:
    return load_recipe(PROJECT / "recipes" / "tiny-dense.yaml")


def study(recipe: Recipe, **changes: Any) -> Study:
    return Study.model_validate(
        {
            "name": "s", "recipe": recipe.name, "seed": 0, "metric": "validation_bits_per_byte", "trials": 8,
            "space": usual_space(recipe), "operations": None, "proxy": {"tokens": 40_960, "width": 64}, "batch": 2,
            "pieces": 4, "sampler": "tpe", "pruner": "median",
        } | changes
    )  # fmt: skip


def test_the_usual_space_holds_the_recipe(dense: Recipe):
    usual = study(dense)
    assert set(usual.space) == {"base.muon_lr", "base.embedding_lr", "base.head_lr", "base.decay_share"}
    assert own_point(usual, dense) == {
        "base.muon_lr": 0.02, "base.embedding_lr": 0.1, "base.head_lr": 0.01, "base.decay_share": 0.6
    }  # fmt: skip
    elsewhere = study(dense, space={"base.muon_lr": {"low": 1.0, "high": 2.0}})
    assert own_point(elsewhere, dense) is None


def test_a_trial_is_the_first_stage_small_and_the_proposal_differs_where_it_was_searched(dense: Recipe):
    point = {"base.head_lr": 0.03, "base.decay_share": 0.4}
    job = job_of(study(dense), dense, point)
    assert (job.shape.hidden_size, job.shape.heads, job.seed) == (64, 1, dense.seed)
    assert job.settings.head_lr == pytest.approx(0.03 * 3)  # a third as wide
    assert (job.settings.muon_lr, job.settings.decay_share, job.settings.tokens) == (0.02, 0.4, 40_960)
    found = proposed(dense, point)
    before, after = dense.model_dump(), found.model_dump()
    assert after["stages"][0]["settings"] == before["stages"][0]["settings"] | {"head_lr": 0.03, "decay_share": 0.4}
    assert found.model_copy(update={"stages": dense.stages}) == dense
    assert found.stages[1:] == dense.stages[1:]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"space": {"base.speed": {"low": 1.0, "high": 2.0}}}, "setting 'base.speed' of the space"),
        ({"space": {"sft.learning_rate": {"low": 1.0, "high": 2.0}}}, "setting 'sft.learning_rate' of the space"),
        ({"space": {"base.tokens": {"choices": [4096, 8192]}}}, "setting 'base.tokens' of the space"),
        ({"space": {"base.batch_tokens": {"low": 1.0, "high": 2.0}}}, "as choices"),
        ({"space": {"base.batch_tokens": {"choices": [4096, 100]}}}, "batch_tokens = 100 is not a multiple"),
        ({"space": {"base.decay_share": {"low": 0.1, "high": 1.5}}}, "less than or equal to 1"),
        ({"space": {"base.muon_momentum": {"low": 0.5, "high": 1.0}}}, "less than 1"),
        ({"metric": "happiness"}, "one of validation_bits_per_byte, loss, validation_bits_per_byte/handbook"),
        ({"metric": "validation_bits_per_byte/nobody"}, "one of validation_bits_per_byte, loss"),
        ({"proxy": {"tokens": 40_960, "width": 100}}, "the width is one of 64, 128, 192"),
        ({"proxy": {"tokens": 2_000, "width": 64}}, "tokens = 2000 is less than one batch of batch_tokens = 4096"),
        ({"proxy": {"tokens": 8_192, "width": 64}}, "each piece has a step"),
    ],
)
def test_what_cannot_be_trained_is_refused(dense: Recipe, changes: dict[str, Any], rule: str):
    check_study(study(dense), dense, SOURCES)
    with pytest.raises(UserError, match=rule):
        check_study(study(dense, **changes), dense, SOURCES)


def test_a_recipe_that_does_not_begin_with_base_is_refused(dense: Recipe):
    other = dense.model_copy(update={"stages": dense.stages[1:]})
    with pytest.raises(UserError, match="choose a recipe that begins with base"):
        check_study(study(dense), other, SOURCES)


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"low": 0.2, "high": 0.1}, "low = 0.2 is not below high = 0.1"),
        ({"low": 0.1, "high": 0.1}, "is not below"),
        ({"low": 0.0, "high": 0.1, "log": True}, "begins above 0"),
        ({"low": 0.0}, "low and high, or choices"),
        ({"low": 0.0, "high": float("inf")}, "finite number"),
        ({"choices": [1]}, "at least two"),
        ({"choices": [1, 1]}, "all different"),
        ({"choices": [1, "a"]}, "of one kind"),
        ({"choices": [1, 2], "low": 0.1}, "choices stand alone"),
        ({"low": 0.0, "high": 0.1, "step": 2}, "Extra inputs"),
    ],
)
def test_values_that_are_none_are_refused(values: dict[str, Any], rule: str):
    with pytest.raises(ValidationError, match=rule):
        Values.model_validate(values)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [({"trials": 10**6}, "trials = 1000000"), ({"space": {}}, "at least 1 item"), ({"speed": 1}, "unknown key")],
)
def test_a_study_file_that_is_none_is_refused(dense: Recipe, tmp_path: Path, changes: dict[str, Any], rule: str):
    body = study(dense).model_dump(mode="json")
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump(body))
    assert load_study(path) == study(dense)
    path.write_text(yaml.safe_dump(body | changes))
    with pytest.raises(RecipeError, match=rule):
        load_study(path)


def test_studies_are_declared_with_the_rest(dense: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("FORGE_STUDIES", str(tmp_path))
    (tmp_path / "s.yaml").write_text(yaml.safe_dump(study(dense).model_dump(mode="json")))
    assert load_declared().studies == {"s": study(dense)}
    for changes, rule in (({"recipe": "none-such"}, "recipe = 'none-such'"), ({"metric": "happiness"}, "happiness")):
        (tmp_path / "s.yaml").write_text(yaml.safe_dump(study(dense).model_dump(mode="json") | changes))
        with pytest.raises(UserError, match=rule):
            load_declared()
