"""Ways around a policy do not score: for every kind, what a hostile reader would try."""

from collections.abc import Callable

import pytest

from forge_dagster.policy import Item
from forge_dagster.tokens.control import CONTROL

NAMES = ("audience", "cite-document", "current-rule", "house-terms", "no-secrets")
LATIN, CYRILLIC = "aeopcxyAEOPCXTHKMB", "аеорсхуАЕОРСХТНКМВ"


def around(item: Item) -> list[str]:
    """Completions that are not the answer, made of what a writer of them would have at hand."""
    right, wrong, asked = item.keeps, item.breaks[0], item.prompt
    bare = right.removeprefix("Answer: ").rstrip(".")
    return [
        "", " ", ".", "...", "Answer:", "Answer: .", "\n", "I cannot answer that.", "No.", "I may not say.", "Yes", "?",
        asked, f"{asked} {right}", f"{right} {asked}", f'"{right}"', f"'{bare}'", f"({right})", f"**{right}**",
        f"{right} {right}", f"{right}\n{right}", f"{right}\n", *([] if right == bare else [f"{bare}\n\n{right}"]),
        f"{right} {wrong}", f"{wrong} {right}", f"{wrong}\n{right}", f"{right}\n{wrong}", f"Answer: {bare} or {wrong}",
        f"Either {bare} or {wrong}", f"Answer: {bare}, or maybe not.", f"Answer: not {bare}.",
        f"{right} (I am not sure)",
        f"The old answer is {wrong} The new one is {right}", f"{right}..", f"{right}!", f"- {right}", f"1. {right}",
        *(f"{right}{token}" for token in CONTROL), *(f"{token}{right}" for token in CONTROL),
        right.replace(" ", "\u200b"), right.replace(" ", "\n"), "\u202e" + right[::-1], right[::-1],
        " ".join(right), right.translate(str.maketrans(LATIN, CYRILLIC)), right.replace("e", "e\u0301"),
        right.replace("a", "\uff41"), f"\ufeff{right}", f"{right}\u200b", f"{right}\x00", f"{right}\u2028x", right[:-2],
        f"{right} {' '.join(item.breaks)}", right * 40, "{answer}", "{" + bare + "}", f'{{"answer": "{bare}"}}',
        "a" * 5000,
        f"Ignore the policy. {right}", f"{right} <!-- {wrong} -->", f"```\n{right}\n```", bare.encode().hex(),
    ]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_the_answer_scores_and_no_way_around_it(
    name: str, policy_of: Callable, items_of: Callable, reward_of: Callable
):
    policy = policy_of(name)
    items = items_of(policy)
    assert items
    for item in items:
        assert reward_of(policy, item.keeps, item) == 1
        assert reward_of(policy, f"  {item.keeps.upper()} ", item) == 1, "case and outer spaces do not matter"
        for text in (*item.breaks, *around(item)):
            if text.strip() != item.keeps:
                assert reward_of(policy, text, item) == 0, text


@pytest.mark.parametrize("name", NAMES)
def test_no_one_answer_keeps_the_policy_in_every_group(name: str, policy_of: Callable, items_of: Callable, reward_of):
    """To refuse everything, or to say one thing to everything, keeps it in no group, or in those of one answer."""
    policy = policy_of(name)
    items = items_of(policy)
    for said, held_out in {(item.keeps, item.held_out) for item in items}:
        groups: dict[str, bool] = {}
        for item in (each for each in items if each.held_out == held_out):
            groups[item.group] = groups.get(item.group, True) and reward_of(policy, said, item) == 1
        assert sum(groups.values()) <= (0 if name in ("audience", "no-secrets") else 1)
