"""A home with what agents' records need."""

import pytest

from forge_dagster.agents.journal import Journal
from forge_dagster.home import Home
from forge_dagster.provenance.ledger import Ledger


@pytest.fixture
def journal(home: Home) -> Journal:
    """The journal of an empty ledger."""
    return Journal(Ledger(home.ledger))
