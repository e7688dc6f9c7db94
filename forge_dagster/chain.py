"""The chain of a recipe's stages: what each one reads, and which of them are language models that are scored."""

import importlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from forge_dagster import stages
from forge_dagster.errors import RecipeError
from forge_dagster.recipe import Recipe, StageEntry

MODEL = "model"
ADAPTER = "adapter"
REWARD_MODEL = "reward_model"
EXTERNAL = "external"


class Link(NamedTuple):
    """One stage of a recipe, and what it reads of other stages: input name -> artifact key."""

    entry: StageEntry
    module: Any
    reads: Mapping[str, str]

    @property
    def yields(self) -> str:
        """What the stage makes: a whole language model, an adapter for one, or a reward model."""
        return ADAPTER if self.entry.settings.get("lora") else str(getattr(self.module, "YIELDS", MODEL))


@cache
def stage_names() -> tuple[str, ...]:
    """The training stages there are: the files of forge_dagster/stages."""
    folder = Path(stages.__path__[0])
    return tuple(sorted(path.stem for path in folder.glob("[!_]*.py")))


def stage_module(name: str) -> Any:
    """The module of a training stage. Raises RecipeError if there is no such file."""
    if name not in stage_names():
        raise RecipeError(
            f"stage: {name!r}", rule=f"a stage is one of {', '.join(stage_names())}", mend="choose one of these"
        )
    return importlib.import_module(f"{stages.__name__}.{name}")


def checkpoint_key(recipe: str, name: str) -> str:
    """Artifact key of what a stage makes."""
    return f"{recipe}/{name}_checkpoint"


def chain(recipe: Recipe) -> tuple[Link, ...]:
    """The stages in order. A stage goes on from the last whole model before it; an adapter is merged by the next stage.

    Raises RecipeError if an order makes no sense or a stage names a checkpoint that is not there.
    """
    links: list[Link] = []
    for entry in recipe.stages:
        module, before = stage_module(entry.stage), links[-1] if links else None
        if (before is not None and before.yields == ADAPTER) != (ADAPTER in module.NEEDS):
            after = f"after {before.entry.called!r}" if before else "as the first stage"
            raise RecipeError(
                f"{recipe.name}: stage {entry.called!r} ({entry.stage}) {after}",
                rule="an adapter is merged by the next stage, and merge comes after an adapter alone",
                mend="put `merge` right after the stage that makes the adapter",
            )
        whole = [link.entry.called for link in links if link.yields == MODEL]
        reads = {"previous": checkpoint_key(recipe.name, whole[-1])} if whole else {}
        if before is not None and before.yields == ADAPTER:
            reads[ADAPTER] = checkpoint_key(recipe.name, before.entry.called)
        if entry.settings.get(REWARD_MODEL):
            reads[REWARD_MODEL] = _reward_model(recipe, entry, links)
        if "teacher" in module.NEEDS:
            reads["teacher"] = _teacher(recipe, entry)
        links.append(Link(entry, module, reads))
    if links[-1].yields != MODEL:
        raise RecipeError(
            f"{recipe.name}: the last stage, {links[-1].entry.called!r}, makes no whole language model",
            rule="the last checkpoint of a recipe is what it releases",
            mend="put `merge` after an adapter, and reward_model before the stage that uses it",
        )
    return tuple(links)


def scored(recipe: Recipe) -> tuple[str, ...]:
    """Names of the checkpoints that a scorecard scores: the whole language models."""
    return tuple(link.entry.called for link in chain(recipe) if link.yields == MODEL)


def _reward_model(recipe: Recipe, entry: StageEntry, before: list[Link]) -> str:
    judge = entry.settings[REWARD_MODEL]
    named = judge.get("name") if isinstance(judge, dict) else judge
    known = [link.entry.called for link in before if link.yields == REWARD_MODEL]
    if named not in known:
        raise RecipeError(
            f"{recipe.name}: stage {entry.called!r} names the reward model {named!r}",
            rule=f"a reward model is made by an earlier stage of the recipe, here one of {known}",
            mend="put a stage `reward_model` before it, or correct the name",
        )
    return checkpoint_key(recipe.name, named)


def _teacher(recipe: Recipe, entry: StageEntry) -> str:
    owner, _, name = str(entry.settings.get("teacher", "")).partition("/")
    if not owner or not name:
        raise RecipeError(
            f"{recipe.name}: stage {entry.called!r} names the teacher {entry.settings.get('teacher')!r}",
            rule="a teacher is RECIPE/STAGE, a checkpoint of a recipe, or external/WEIGHTS, open weights of a recipe",
            mend="correct `teacher`",
        )
    return f"{EXTERNAL}/{name}" if owner == EXTERNAL else checkpoint_key(owner, name)


def teachers_exist(recipes: Mapping[str, Recipe]) -> None:
    """Raise RecipeError if a teacher is no whole model of another recipe, nor open weights that a recipe names."""
    known = {checkpoint_key(recipe.name, name) for recipe in recipes.values() for name in scored(recipe)}
    known |= {f"{EXTERNAL}/{spec.name}" for recipe in recipes.values() for spec in recipe.external}
    for recipe in recipes.values():
        for link in chain(recipe):
            teacher = link.reads.get("teacher")
            if teacher is not None and (teacher not in known or teacher.startswith(f"{recipe.name}/")):
                raise RecipeError(
                    f"{recipe.name}: stage {link.entry.called!r} learns from {teacher}",
                    rule="a teacher is a whole checkpoint of another recipe, or open weights that a recipe declares: "
                    + ", ".join(sorted(key for key in known if not key.startswith(f"{recipe.name}/"))),
                    mend="correct `teacher`, add the teacher's recipe, or list the open weights under `teachers`",
                )
