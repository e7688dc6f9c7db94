"""A person's approval of a decision, in the ledger."""

from typing import Any

from forge_dagster.provenance.ledger import Ledger

APPROVED = "retraining-approved"


def approve(ledger: Ledger, recipe: str, decision: str, *, by: str) -> dict[str, Any]:
    """State that a person approves the decision with this digest; return the statement."""
    statement = {"recipe": recipe, "decision": decision, "by": by}
    ledger.append(APPROVED, statement)
    return statement


def approved(ledger: Ledger) -> set[str]:
    """Digests of the decisions that a person approved."""
    return {entry["statement"]["decision"] for entry in ledger.entries() if entry["kind"] == APPROVED}
