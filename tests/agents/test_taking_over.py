"""A proposal becomes files that the project loads, when a person says so, and by nobody else."""

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from forge_dagster.agents.journal import ACCEPTED, DECLINED, PROPOSED, Journal
from forge_dagster.agents.proposal import (
    ItemsProposal,
    MixtureProposal,
    PairsProposal,
    Proposal,
    Proposals,
    RecipeProposal,
    StudyProposal,
    derived,
    searched,
)
from forge_dagster.agents.taking_over import accept, decline
from forge_dagster.declared import Declared
from forge_dagster.errors import IntegrityError, QuotaError, RecipeError, UserError
from forge_dagster.evaluation.own_task import load_own_tasks
from forge_dagster.home import PROJECT, Home
from forge_dagster.pair_source import load_pair_source
from forge_dagster.pairs.given import Conversation, read_lines
from forge_dagster.recipe import Recipe, load_recipe
from forge_dagster.source import PlacedSource, Source
from forge_dagster.study import Study, load_study

BY = "user:ada"
STUDY = {
    "name": "rates", "recipe": "tiny-dense", "seed": 1, "metric": "validation_bits_per_byte",
    "space": {"base.muon_lr": {"low": 0.005, "high": 0.05, "log": True}}, "trials": 2, "operations": None,
    "proxy": {"tokens": 4096, "width": 64}, "batch": 2, "pieces": 1, "sampler": "tpe", "pruner": "none",
}  # fmt: skip
CHAT = [{"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Ada."}]}]


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    found = {name: tmp_path / name for name in ("recipes", "studies", "sources", "evals")}
    for folder in found.values():
        folder.mkdir()
    return found


@pytest.fixture
def declared() -> Declared:
    source = Source(name="plant", kind="folder", location=".", owner="o", licence="internal", sensitivity="public")
    placed = PlacedSource(source=source, location=".", facts=None)
    recipe = load_recipe(PROJECT / "recipes" / "tiny-dense.yaml")
    return Declared(sources={"plant": placed}, recipes={recipe.name: recipe}, policies={}, pairs={})


def proposed(home: Home, journal: Journal, body) -> Proposal:
    proposal = Proposals(home).add("agent:tuner", "It may help.", body)
    stated = {"agent": "agent:tuner", "proposal": proposal.id, "digest": proposal.digest}
    journal.state(PROPOSED, stated)
    return proposal


def taken(home: Home, journal: Journal, declared: Declared, folders: dict[str, Path], body, by: str = BY) -> list[Path]:
    proposal = proposed(home, journal, body)
    return accept(Proposals(home), journal, proposal.id, by=by, declared=declared, folders=folders, licence="internal")


def test_a_recipe_and_a_mixture(home: Home, journal: Journal, declared: Declared, folders: dict[str, Path]):
    recipe = declared.recipes["tiny-dense"].model_copy(update={"name": "tried"})
    [path] = taken(home, journal, declared, folders, RecipeProposal(recipe=recipe))
    assert load_recipe(path) == recipe
    mixture = {"sources": {"plant": {"weight": 1.0, "epochs": 9.0}}}
    body = MixtureProposal.model_validate({"name": "mixed", "of": "tiny-dense", "mixture": mixture})
    [path] = taken(home, journal, declared, folders, body)
    assert load_recipe(path).stages[0].settings["mixture"] == mixture
    assert Proposals(home).waiting() == []
    assert [entry["statement"]["by"] for entry in journal.about(ACCEPTED)] == [BY, BY]


def test_a_study(home: Home, journal: Journal, declared: Declared, folders: dict[str, Path]):
    study = Study.model_validate(STUDY)
    [path] = taken(home, journal, declared, folders, StudyProposal(study=study))
    assert load_study(path) == study


@pytest.mark.parametrize(
    ("changes", "studies", "what"),
    [
        ({}, ("rates",), "is there already"),
        ({"recipe": "other"}, (), "recipe = 'other'"),
        ({"space": {"base.no_such": {"low": 1.0, "high": 2.0}}}, (), "no_such"),
        ({"proxy": {"tokens": 4096, "width": 33}}, (), "width"),
    ],
)
def test_a_study_that_breaks_a_rule_is_none(declared: Declared, changes: dict, studies: tuple, what: str):
    study = Study.model_validate({**STUDY, **changes})
    known = declared.model_copy(update={"studies": dict.fromkeys(studies, study)})
    with pytest.raises((RecipeError, UserError), match=what):
        searched(study, known)


def test_pairs_and_items(home: Home, journal: Journal, declared: Declared, folders: dict[str, Path]):
    pairs = PairsProposal.model_validate({"name": "asked", "rows": CHAT})
    data, described = taken(home, journal, declared, folders, pairs)
    placed = load_pair_source(described)
    assert (placed.source.owner, placed.source.licence) == ("agent:tuner", "internal")
    assert len(list(read_lines(data, Conversation))) == 1
    choices = ItemsProposal.model_validate(
        {"name": "own", "items": [{"query": "Who?", "choices": ["Ada", "Bo"], "gold": 0}]}
    )
    taken(home, journal, declared, folders, choices)
    assert set(load_own_tasks(folders["evals"])) == {"own"}


@pytest.mark.parametrize("by", ["agent:tuner", "sensor:retraining", "schedule:nightly", "nobody"])
def test_none_but_a_person_decides(home: Home, journal: Journal, declared: Declared, folders: dict[str, Path], by: str):
    body = PairsProposal.model_validate({"name": "asked", "rows": CHAT})
    with pytest.raises(QuotaError, match="is no person"):
        taken(home, journal, declared, folders, body, by=by)
    with pytest.raises(QuotaError, match="is no person"):
        decline(Proposals(home), journal, Proposals(home).waiting()[0].id, by=by, reason="no")
    assert not list(folders["sources"].rglob("*.jsonl"))
    assert len(Proposals(home).waiting()) == 1


def test_what_was_doctored_or_would_replace_a_file_is_not_taken_over(
    home: Home, journal: Journal, declared: Declared, folders: dict[str, Path]
):
    body = PairsProposal.model_validate({"name": "asked", "rows": CHAT})
    proposal = proposed(home, journal, body)
    path = Proposals(home).folder / f"{proposal.id}.json"
    whole = path.read_text()
    path.write_text(whole.replace("It may help.", "It will help."))
    arguments = {"by": BY, "declared": declared, "folders": folders, "licence": "internal"}
    with pytest.raises(IntegrityError, match="not what the ledger says"):
        accept(Proposals(home), journal, proposal.id, **arguments)
    path.write_text(whole.replace("Ada.", "Bo."))
    with pytest.raises(IntegrityError, match="holds proposal"):
        accept(Proposals(home), journal, proposal.id, **arguments)
    path.write_text(whole)
    (folders["sources"] / "pairs").mkdir()
    (folders["sources"] / "pairs" / "asked.jsonl").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        accept(Proposals(home), journal, proposal.id, **arguments)
    assert decline(Proposals(home), journal, proposal.id, by=BY, reason="not now").id == proposal.id
    assert next(journal.about(DECLINED))["statement"]["reason"] == "not now"
    for gone in (proposal.id, "../../ledger"):
        with pytest.raises(UserError):
            Proposals(home).read(gone)


def test_a_recipe_is_judged_by_every_rule_of_a_persons(declared: Declared):
    body = yaml.safe_load((PROJECT / "recipes" / "tiny-dense.yaml").read_text())

    def recipe(**changed: object) -> RecipeProposal:
        return RecipeProposal(recipe=Recipe.model_validate({**body, "name": "tried", **changed}))

    with pytest.raises(RecipeError, match="is there already"):
        derived(recipe(name="tiny-dense"), declared)
    stages = [{**body["stages"][0], "settings": {**body["stages"][0]["settings"], "tokens": -1}}]
    with pytest.raises(RecipeError, match="tokens"):
        derived(recipe(stages=stages), declared)
    mixture = {"sources": {"elsewhere": {"weight": 1, "epochs": 1}}}
    stages = [{**body["stages"][0], "settings": {**body["stages"][0]["settings"], "mixture": mixture}}]
    with pytest.raises(RecipeError, match="elsewhere"):
        derived(recipe(stages=stages), declared)
    weights = {"name": "open", "location": "/etc", "origin": "somewhere", "licence": "MIT"}
    with pytest.raises(RecipeError, match="names no place on this machine"):
        derived(recipe(teachers=[weights]), declared)
    with pytest.raises(ValidationError):
        ItemsProposal.model_validate({"name": "../x", "items": []})
