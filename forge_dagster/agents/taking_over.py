"""A person's decision on a proposal: it becomes files of the project or is declined; the ledger says who decided."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from forge_dagster.agents.journal import ACCEPTED, DECLINED, PROPOSED, Journal
from forge_dagster.agents.proposal import (
    ItemsProposal,
    PairsProposal,
    Proposal,
    Proposals,
    StudyProposal,
    derived,
    searched,
)
from forge_dagster.declared import Declared
from forge_dagster.errors import IntegrityError, QuotaError, UserError
from forge_dagster.pair_source import Given
from forge_dagster.provenance.actor import kind_of
from forge_dagster.provenance.files import write_atomically


def accept(
    proposals: Proposals,
    journal: Journal,
    id_: str,
    *,
    by: str,
    declared: Declared,
    folders: Mapping[str, Path],
    licence: str,
) -> list[Path]:
    """Write the proposal's files into the folders `recipes`, `studies`, `sources` and `evals`; return them.

    Raises QuotaError if no person asks, IntegrityError if it is not what the agent proposed, UserError if a file is
    there already or a rule is broken by now.
    """
    proposal = _to_decide(proposals, journal, id_, by)
    files = _files(proposal, declared, folders, licence)
    if there := [path for path in files if path.exists()]:
        raise UserError(f"{there[0]} is there already", rule="a proposal replaces no file", mend="move it away first")
    journal.state(ACCEPTED, {**_said(proposal, by), "files": [path.name for path in files]})
    for path, data in files.items():
        write_atomically(path, data)
    proposals.remove(id_)
    return list(files)


def decline(proposals: Proposals, journal: Journal, id_: str, *, by: str, reason: str) -> Proposal:
    """Take a proposal away. Raises QuotaError if no person asks."""
    _is_a_person(by)
    proposal = proposals.read(id_)
    journal.state(DECLINED, {**_said(proposal, by), "reason": reason})
    proposals.remove(id_)
    return proposal


def _to_decide(proposals: Proposals, journal: Journal, id_: str, by: str) -> Proposal:
    _is_a_person(by)
    proposal = proposals.read(id_)
    if not any(journal.about(PROPOSED, proposal=id_, digest=proposal.digest)):
        raise IntegrityError(
            f"proposal {id_} is not what the ledger says was proposed",
            rule="what a person takes over is what the agent proposed",
            mend="refuse it, and ask the agent to propose it again",
        )
    return proposal


def _is_a_person(by: str) -> None:
    if kind_of(by) != "person":
        raise QuotaError(
            f"{by} is no person", rule="a person decides on what agents propose", mend="unset FORGE_ACTOR, and decide"
        )


def _said(proposal: Proposal, by: str) -> dict[str, Any]:
    return {"agent": proposal.agent, "proposal": proposal.id, "digest": proposal.digest, "by": by}


def _files(proposal: Proposal, declared: Declared, folders: Mapping[str, Path], licence: str) -> dict[Path, bytes]:
    body = proposal.body
    if isinstance(body, PairsProposal):
        data = folders["sources"] / "pairs" / f"{body.name}.jsonl"
        given = Given(name=body.name, kind=body.form, location=data.name, owner=proposal.agent, licence=licence)
        rows = [row.model_dump(mode="json") for row in body.rows]
        return {data: _lines(rows), data.with_suffix(".yaml"): _yaml(proposal, given.model_dump(mode="json"))}
    if isinstance(body, ItemsProposal):
        data = folders["evals"] / f"{body.name}.jsonl"
        task = body.task(f"{folders['evals'].name}/{data.name}")
        rows = [item.model_dump(mode="json") for item in body.items]
        described = task.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
        return {data: _lines(rows), data.with_suffix(".yaml"): _yaml(proposal, described)}
    if isinstance(body, StudyProposal):
        described = searched(body.study, declared).model_dump(mode="json")
        return {folders["studies"] / f"{body.study.name}.yaml": _yaml(proposal, described)}
    recipe = derived(body, declared)
    described = recipe.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return {folders["recipes"] / f"{recipe.name}.yaml": _yaml(proposal, described)}


def _lines(rows: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()


def _yaml(proposal: Proposal, described: Mapping[str, Any]) -> bytes:
    head = f"# Proposed by {proposal.agent}, proposal {proposal.id}.\n"
    return (head + yaml.safe_dump(dict(described), sort_keys=False, allow_unicode=True)).encode()
