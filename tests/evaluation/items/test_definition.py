"""Definitions are found in sentences, glossaries and the names of manual pages; none gives its term away."""

import pytest

from forge_dagster.evaluation.items.definition import candidates
from forge_dagster.evaluation.passages import Material, Text
from forge_dagster.evaluation.reader import Reader


def found(text: str) -> list[tuple[str, str]]:
    return [(each.query, each.answer) for each in candidates(Material([Text("a", "en", text)], Reader([])))]


@pytest.mark.parametrize(
    ("text", "query", "answer"),
    [
        ("A clutch is a part that joins two shafts.", "A clutch is", "a part that joins two shafts"),
        ("Slack means that a rope is longer than needed.", "Slack means", "that a rope is longer than needed"),
        ("dircolors - color setup for the listing", "dircolors:", "color setup for the listing"),
        ("* MTBF: mean time until something stops.", "MTBF:", "mean time until something stops"),
    ],
)
def test_forms_of_a_definition(text: str, query: str, answer: str):
    assert found(text) == [(query, answer)]


@pytest.mark.parametrize(
    "text",
    [
        "A gear pump is a pump that has gears and moves oil.",
        "It is a part that joins two shafts.",
        "The second argument is a part that joins two shafts.",
        "A clutch is a part.",
        "some running text goes on - and here a line was\nbroken in the middle of it",
        "A clutch is a part <b>that</b> joins two shafts.",
    ],
)
def test_what_is_no_definition(text: str):
    assert found(text) == []
