"""The space of a study over its recipe: what may be tried, a point of it as a training job, and as a recipe."""

from collections.abc import Iterator
from math import floor, log10
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from forge_dagster.errors import UserError
from forge_dagster.recipe import ModelSpec, Recipe, StageEntry
from forge_dagster.search.width import carried, resized
from forge_dagster.source import explain
from forge_dagster.stage import FrozenModel
from forge_dagster.study import Point, Study, Values
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.settings import WATCHING, Settings

METRICS = ("validation_bits_per_byte", "loss")
OF_A_SOURCE = f"{METRICS[0]}/"
HELD = WATCHING | {"tokens", "sequence_length", "validation_tokens", "mixture", "going_on"}
"""Settings that say how a trial is measured, how large it is, or nothing of its result."""
FACTOR = 4.0
"""A learning rate is tried up to this many times above and below that of the recipe, unless told otherwise."""
DIGITS = 4
"""Significant digits of a value that is tried: a recipe is read by people."""


class StudyConfig(FrozenModel):
    """What is searched, and the recipe as it is."""

    study: Study
    recipe: Recipe


def first_of(recipe: Recipe) -> tuple[StageEntry, ModelSpec]:
    """The stage that is searched, and the shape of its model. Raises UserError if it is not base."""
    first = recipe.stages[0]
    if first.stage != "base" or recipe.model is None:
        raise UserError(
            f"a search over {recipe.name}, which begins with {first.stage}",
            rule="settings are searched of a base stage, on models smaller than the recipe's",
            mend="choose a recipe that begins with base",
        )
    return first, recipe.model


def searchable() -> tuple[str, ...]:
    """Settings of the base stage that a study may vary."""
    return tuple(name for name in Settings.model_fields if name not in HELD)


def usual_space(recipe: Recipe) -> dict[str, Values]:
    """Rates of matrices and the shape of the schedule, around what the recipe says."""
    first, model = first_of(recipe)
    given = Settings.model_validate(first.settings)
    rates = ["muon_lr", "embedding_lr", *([] if model.tie_embeddings else ["head_lr"])]
    space = {name: _around(getattr(given, name)) for name in rates}
    space["decay_share"] = Values(low=0.1, high=round(min(0.9, 1 - given.warmup_share), DIGITS))
    return {f"{first.called}.{name}": values for name, values in space.items()}


def _around(rate: float) -> Values:
    return Values(low=rounded(rate / FACTOR), high=rounded(rate * FACTOR), log=True)


def rounded(value: float) -> float:
    """A number to a few significant digits."""
    return round(value, DIGITS - 1 - floor(log10(abs(value)))) if value else 0.0


def check_study(study: Study, recipe: Recipe, sources: frozenset[str]) -> None:
    """Raise UserError or RecipeError unless every point of the study is a training that can be measured."""
    first, model = first_of(recipe)
    resized(model, study.proxy.width)
    for key, values in study.space.items():
        _check_setting(key, values, first)
    source = study.metric.removeprefix(OF_A_SOURCE)
    if study.metric not in METRICS and (source == study.metric or source not in sources):
        known = [*METRICS, *(OF_A_SOURCE + name for name in sorted(sources))]
        raise UserError(f"metric {study.metric!r}", rule=f"one of {', '.join(known)}", mend="choose one of these")
    for point in _extremes(study):
        try:
            settings = job_of(study, recipe, point).settings
        except ValidationError as error:
            raise explain(Path(f"study {study.name} (at {point})"), error) from error
        if settings.steps < study.pieces:
            raise UserError(
                f"{study.proxy.tokens} tokens are {settings.steps} steps of a trial in {study.pieces} pieces",
                rule="each piece has a step",
                mend="raise the proxy's tokens, or lower pieces",
            )


def _check_setting(key: str, values: Values, first: StageEntry) -> None:
    stage, _, name = key.partition(".")
    if stage != first.called or name not in searchable():
        known = ", ".join(f"{first.called}.{each}" for each in searchable())
        raise UserError(f"setting {key!r} of the space", rule=f"one of {known}", mend="choose one of these")
    if not values.choices and Settings.model_fields[name].annotation is not float:
        raise UserError(
            f"setting {key!r} from {values.low} to {values.high}",
            rule="a range is of numbers with a fraction",
            mend="name the whole numbers that it may be, as choices",
        )


def _extremes(study: Study) -> Iterator[Point]:
    """Every end of each setting with the others at their first; then all at their last."""
    lowest = {key: values.ends[0] for key, values in study.space.items()}
    yield lowest
    for key, values in study.space.items():
        for end in values.ends[1:]:
            yield {**lowest, key: end}
    yield {key: values.ends[-1] for key, values in study.space.items()}


def own_point(study: Study, recipe: Recipe) -> Point | None:
    """What the recipe says itself of the settings that are searched; None if that lies outside the space."""
    point = values_of(study, recipe)
    return point if all(study.space[key].holds(value) for key, value in point.items()) else None


def values_of(study: Study, recipe: Recipe) -> Point:
    """What a recipe says of the settings that a study varies."""
    given = Settings.model_validate(recipe.stages[0].settings)
    return {key: getattr(given, key.partition(".")[2]) for key in study.space}


def proposed(recipe: Recipe, point: Point) -> Recipe:
    """The recipe with the settings of a point."""
    first = recipe.stages[0]
    settings = {**first.settings, **{key.partition(".")[2]: value for key, value in point.items()}}
    stages = (first.model_copy(update={"settings": settings}), *recipe.stages[1:])
    return Recipe.model_validate(recipe.model_copy(update={"stages": stages}).model_dump(mode="json"))


def job_of(study: Study, recipe: Recipe, point: Point) -> TrainingJob[Settings]:
    """The training of a trial: the first stage at a point, on the proxy's tokens and at its width.

    Raises ValidationError if the stage refuses the settings.
    """
    first, model = first_of(recipe)
    settings: dict[str, Any] = {**first.settings, **{key.partition(".")[2]: value for key, value in point.items()}}
    for rate, factor in carried(model, study.proxy.width).items():
        settings[rate] *= factor
    batch = settings["batch_tokens"]
    steps = study.proxy.tokens // batch
    settings |= {
        "tokens": steps * batch or study.proxy.tokens,  # the stage says that this is less than a batch
        "validate_every_steps": max(-(-steps // study.pieces), 1),
        "retain_every_steps": max(steps, 1),  # none: nothing goes on from a proxy
    }
    return TrainingJob[Settings](
        seed=recipe.seed,
        model=resized(model, study.proxy.width),
        settings=Settings.model_validate(settings),
        limits=recipe.limits,
    )


def ends_of(settings: Settings) -> list[int]:
    """Steps after which each piece of a trial ends."""
    every = settings.validate_every_steps
    assert every is not None, "a trial says when it is validated"
    return [*range(every, settings.steps, every), settings.steps]
