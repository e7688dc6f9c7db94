"""A rule with its reason is split at the connective; what states no rule or gives no reason is left alone."""

import pytest

from forge_dagster.evaluation.items.reason import candidates
from forge_dagster.evaluation.passages import Material, Text
from forge_dagster.evaluation.reader import Reader


def found(text: str) -> list[tuple[str, str, str]]:
    material = Material([Text("a", "en", text)], Reader([]))
    return [(each.kind[1], each.query, each.answer) for each in candidates(material)]


@pytest.mark.parametrize(
    ("text", "kind", "query", "answer"),
    [
        (
            "Solvents must never touch the housing because they attack the paint at once.",
            "because",
            "Solvents must never touch the housing because",
            "they attack the paint at once.",
        ),
        (
            "The valve should be opened slowly, so that the pressure does not rise too fast.",
            "so that",
            "The valve should be opened slowly, so that",
            "the pressure does not rise too fast.",
        ),
        (
            "You must drain the tank after every shift to avoid rust at the lower seams.",
            "to",
            "You must drain the tank after every shift to",
            "avoid rust at the lower seams.",
        ),
        (
            "The gate is blue. It must not be opened at night unless the guard has agreed to it.",
            "unless",
            "The gate is blue. It must not be opened at night unless",
            "the guard has agreed to it.",
        ),
    ],
)
def test_kinds_of_reasons(text: str, kind: str, query: str, answer: str):
    assert found(text) == [(kind, query, answer)]


@pytest.mark.parametrize(
    "text",
    [
        "The house in the yard is green because somebody painted it last year.",
        "You must go because rain.",
        "Solvents must never touch the housing of the pump.",
        "You must always use `x` in the housing because it attacks the paint.",
    ],
)
def test_what_is_no_rule_with_a_reason(text: str):
    assert found(text) == []
