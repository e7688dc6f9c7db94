"""Proposals of agents: data that waits in the home for a person, who takes it over into the project's files or not."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from forge_dagster.chain import chain, teachers_exist
from forge_dagster.declared import Declared, study_fits, training_job
from forge_dagster.errors import IntegrityError, RecipeError, UserError
from forge_dagster.evaluation.own_task import OwnTask
from forge_dagster.home import Home
from forge_dagster.pairs.given import Conversation, Preference
from forge_dagster.provenance.canonical import canonical_json, fingerprint
from forge_dagster.provenance.files import write_atomically
from forge_dagster.recipe import Recipe
from forge_dagster.source import Name
from forge_dagster.stage import FrozenModel
from forge_dagster.study import Study
from forge_dagster.tokens.mixture import Mixture

MOST_ROWS = 2000
MOST_BYTES = 1_000_000  # of one proposal as JSON
Text = Annotated[str, Field(min_length=1, max_length=8000)]
Short = Annotated[str, Field(min_length=1, max_length=500)]
ID = re.compile("[0-9a-f]{16}")


class Choice(FrozenModel):
    """One question with several answers, of which `gold` is the right one, counted from 0."""

    query: Text
    choices: Annotated[tuple[Short, ...], Field(min_length=2, max_length=10)]
    gold: int = Field(ge=0, lt=10)

    @model_validator(mode="after")
    def one_choice_is_right(self) -> Self:
        if self.gold >= len(self.choices) or len(set(self.choices)) < len(self.choices):
            raise ValueError(f"gold = {self.gold} of {len(self.choices)} choices, which must differ")
        return self


class RecipeProposal(FrozenModel):
    """A recipe under a new name."""

    kind: Literal["recipe"] = "recipe"
    recipe: Recipe


class MixtureProposal(FrozenModel):
    """A recipe that is there, under a new name and with other shares of the sources."""

    kind: Literal["mixture"] = "mixture"
    name: Name
    of: Name = Field(description="recipe whose first stage gets the mixture")
    mixture: Mixture


class StudyProposal(FrozenModel):
    """A search over the settings of a recipe that is there."""

    kind: Literal["study"] = "study"
    study: Study


class PairsProposal(FrozenModel):
    """Conversations or preferences to learn from, in the formats of `sources/pairs`."""

    kind: Literal["pairs"] = "pairs"
    name: Name
    rows: (
        Annotated[tuple[Conversation, ...], Field(min_length=1, max_length=MOST_ROWS)]
        | Annotated[tuple[Preference, ...], Field(min_length=1, max_length=MOST_ROWS)]
    )

    @property
    def form(self) -> Literal["chat", "preference"]:
        """As sources/pairs calls it."""
        return "chat" if isinstance(self.rows[0], Conversation) else "preference"


class ItemsProposal(FrozenModel):
    """A benchmark task of one's own: questions with choices."""

    kind: Literal["items"] = "items"
    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_]{0,62}$")
    items: Annotated[tuple[Choice, ...], Field(min_length=1, max_length=MOST_ROWS)]

    def task(self, data: str) -> OwnTask:
        """As `evals/` has it, over the file `data`. Raises ValidationError if it is no task."""
        return OwnTask.model_validate(
            {
                "task": self.name,
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": {"test": data}},
                "test_split": "test",
                "output_type": "multiple_choice",
                "doc_to_text": "query",
                "doc_to_choice": "choices",
                "doc_to_target": "gold",
                "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
                "metadata": {"version": 1},
            }
        )


Body = Annotated[
    RecipeProposal | MixtureProposal | StudyProposal | PairsProposal | ItemsProposal, Field(discriminator="kind")
]


def name_of(body: Body) -> str:
    """What the proposal would be called where a person takes it over."""
    match body:
        case RecipeProposal():
            return body.recipe.name
        case StudyProposal():
            return body.study.name
    return body.name


class Proposal(FrozenModel):
    """What an agent proposes, and why."""

    agent: str
    made: datetime
    why: Text
    body: Body

    @property
    def id(self) -> str:
        """Decided by who proposes what."""
        return fingerprint({"agent": self.agent, "body": self.body.model_dump(mode="json")})[:16]

    @property
    def digest(self) -> str:
        """SHA-256 over all of it, as the ledger states it."""
        return fingerprint(self.model_dump(mode="json"))


def derived(body: RecipeProposal | MixtureProposal, declared: Declared) -> Recipe:
    """The recipe that is proposed, whole and judged by every rule of a person's file. Raises RecipeError."""
    recipe = body.recipe if isinstance(body, RecipeProposal) else _mixed(body, declared)
    if recipe.name in declared.recipes:
        raise RecipeError(
            f"recipe {recipe.name!r} is there already", rule="a proposal has a new name", mend="rename it"
        )
    known = {spec for each in declared.recipes.values() for spec in each.external}
    if foreign := [spec.name for spec in recipe.external if spec not in known]:
        raise RecipeError(
            f"{recipe.name}: open weights {', '.join(foreign)} are in no recipe as they are described here",
            rule="an agent names no place on this machine: weights are those of a recipe that is there",
            mend="copy the whole entry from such a recipe, or ask a person to add the weights",
        )
    for entry in recipe.stages:
        training_job(recipe, entry)
    chain(recipe)
    teachers_exist({**declared.recipes, recipe.name: recipe})
    mixture = getattr(training_job(recipe, recipe.stages[0]).settings, "mixture", None)
    if unknown := sorted(set(mixture.sources if mixture else ()) - set(declared.sources)):
        raise RecipeError(
            f"{recipe.name}: the mixture names source {', '.join(unknown)}",
            rule=f"a source is one of {', '.join(sorted(declared.sources))}",
        )
    return recipe


def searched(study: Study, declared: Declared) -> Study:
    """The study that is proposed, judged by every rule of a person's file. Raises RecipeError."""
    if study.name in declared.studies:
        raise RecipeError(f"study {study.name!r} is there already", rule="a proposal has a new name", mend="rename it")
    study_fits(study, declared.recipes, declared.sources)
    return study


def _mixed(body: MixtureProposal, declared: Declared) -> Recipe:
    if body.of not in declared.recipes:
        raise RecipeError(f"recipe {body.of!r}", rule=f"one of {', '.join(declared.recipes)}", mend="see the recipes")
    of = declared.recipes[body.of]
    first = of.stages[0]
    settings = {**first.settings, "mixture": body.mixture.model_dump(mode="json")}
    stages = (first.model_copy(update={"settings": settings}), *of.stages[1:])
    return Recipe.model_validate(
        {**of.model_dump(), "name": body.name, "stages": [each.model_dump() for each in stages]}
    )


class Proposals:
    """The folder `proposals/` of a home: one file each, named by the proposal's id."""

    def __init__(self, home: Home) -> None:
        self.folder = home.root / "proposals"

    def add(self, agent: str, why: str, body: Body) -> Proposal:
        """Keep a proposal. Raises UserError if it is too large."""
        proposal = Proposal(agent=agent, made=datetime.now(UTC).replace(microsecond=0), why=why, body=body)
        data = canonical_json(proposal.model_dump(mode="json"))
        if len(data) > MOST_BYTES:
            raise UserError(f"{len(data):,} bytes", rule=f"a proposal has at most {MOST_BYTES:,}", mend="split it")
        write_atomically(self._path(proposal.id), data + b"\n")
        return proposal

    def read(self, id_: str) -> Proposal:
        """One proposal. Raises UserError if there is none, IntegrityError if it is not what its name says."""
        path = self._path(id_)
        try:
            proposal = Proposal.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            raise UserError(f"proposal {id_}", rule="one that waits", mend="see forge proposals list") from None
        except ValidationError as error:
            raise IntegrityError(f"{path} is no proposal: {error}", mend="remove the file") from error
        if proposal.id != id_:
            raise IntegrityError(f"{path} holds proposal {proposal.id}", mend="remove the file")
        return proposal

    def waiting(self) -> list[Proposal]:
        """Every proposal that waits for a person, oldest first."""
        found = [self.read(path.stem) for path in self.folder.glob("[!.]*.json")]
        return sorted(found, key=lambda each: (each.made, each.id))

    def remove(self, id_: str) -> None:
        """Take a proposal away once the ledger says what a person decided."""
        self._path(id_).unlink()

    def _path(self, id_: str) -> Path:
        if not ID.fullmatch(id_):
            raise UserError(f"proposal {id_!r:.80}", rule="16 hexadecimal digits", mend="see forge proposals list")
        return self.folder / f"{id_}.json"


def summary(proposal: Proposal) -> dict[str, Any]:
    """What a list says of a proposal."""
    body = proposal.body
    size = (
        len(body.rows) if isinstance(body, PairsProposal) else len(body.items) if isinstance(body, ItemsProposal) else 1
    )
    said = {"id": proposal.id, "kind": body.kind, "name": name_of(body), "agent": proposal.agent, "rows": size}
    return {**said, "made": proposal.made.isoformat(), "why": proposal.why}
