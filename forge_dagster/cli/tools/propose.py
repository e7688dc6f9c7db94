"""Tools that propose: data that waits for a person, judged by the rules of people's own files."""

from typing import Any

from pydantic import Field

from forge_dagster.agents.journal import PROPOSED
from forge_dagster.agents.proposal import (
    MOST_BYTES,
    Body,
    ItemsProposal,
    PairsProposal,
    StudyProposal,
    derived,
    searched,
    summary,
)
from forge_dagster.cli.tools.desk import Desk
from forge_dagster.cli.tools.tool import Nothing, Tool
from forge_dagster.declared import Declared, load_declared
from forge_dagster.errors import QuotaError, RecipeError
from forge_dagster.stage import FrozenModel


class Proposed(FrozenModel):
    """What is proposed, and why a person should take it over."""

    proposal: Body
    why: str = Field(min_length=1, max_length=2000)


def propose(desk: Desk, asked: Proposed) -> dict[str, Any]:
    """Judge a proposal and keep it for a person."""
    _judge(asked.proposal, load_declared())
    with desk.budget.one_at_a_time():
        waiting = sum(each.agent == desk.agent for each in desk.proposals.waiting())
        if waiting >= desk.quota.open_proposals:
            raise QuotaError(
                f"{waiting} proposals wait for a person",
                rule=f"open_proposals = {desk.quota.open_proposals}",
                mend="wait until a person decided on them",
            )
        proposal = desk.proposals.add(desk.agent, asked.why, asked.proposal)
        said = summary(proposal)
        named = {name: said[name] for name in ("kind", "name", "rows")}
        stated = {"agent": desk.agent, "proposal": proposal.id, "digest": proposal.digest, **named}
        desk.journal.state(PROPOSED, stated)
    return {**said, "next": f"a person decides: forge proposals accept {proposal.id}"}


def proposals(desk: Desk, asked: Nothing) -> dict[str, Any]:
    """The agent's proposals that wait for a person."""
    return {"proposals": [summary(each) for each in desk.proposals.waiting() if each.agent == desk.agent]}


def _judge(body: Body, declared: Declared) -> None:
    if isinstance(body, PairsProposal):
        _is_new(body.name, declared.pairs)
    elif isinstance(body, ItemsProposal):
        _is_new(body.name, declared.own_tasks)
        body.task(f"evals/{body.name}.jsonl")
    elif isinstance(body, StudyProposal):
        searched(body.study, declared)
    else:
        derived(body, declared)


def _is_new(name: str, known: Any) -> None:
    if name in known:
        raise RecipeError(f"{name!r} is there already", rule="a proposal has a new name", mend="give it another name")


TOOLS = (
    Tool(
        name="propose",
        description="Propose a recipe, a mixture, a study of settings, pairs or benchmark items as data. It waits "
        "until a person takes it over or declines it; nothing reads it before.",
        arguments=Proposed,
        run=propose,
        read_only=False,
        most_bytes=MOST_BYTES + 20_000,
    ),
    Tool(name="proposals", description="Your proposals that wait.", arguments=Nothing, run=proposals),
)
