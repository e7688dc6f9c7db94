"""A small house: who asks, which documents there are, and the policies of the project."""

from collections.abc import Callable
from typing import Any

import pytest

from forge_dagster.home import PROJECT
from forge_dagster.policy import Asked, Item, Material, Policy, Told, load_policy
from forge_dagster.policy_kinds import policy_kind, policy_reward, policy_settings

FORM = policy_settings(load_policy(PROJECT / "policies" / "answer-form.yaml"))
DOCUMENTS = {
    "a": Told(title="Pump manual", audience=("everyone",), redacted=False),
    "b": Told(title="Salary rules", audience=("staff",), redacted=True),
    "c": Told(title="Partner price list", audience=("partners", "staff"), redacted=False),
    "d": Told(title="Minutes", audience=("everyone",), redacted=False),
    "e": Told(title="Minutes", audience=("everyone",), redacted=False),
    "f": Told(title="", audience=("everyone",), redacted=True),
}
ASKED = [
    Asked(question="How long is a shift?", answer="8 hours", document_ids=("a",), held_out=False,
          superseded=("9 hours",)),
    Asked(question="What is the bonus?", answer="3 percent", document_ids=("b",), held_out=False),
    Asked(question="What does a seal cost?", answer="40 euros", document_ids=("c",), held_out=True),
    Asked(question="Who wrote it down?", answer="Ines Stenby", document_ids=("d",), held_out=False),
    Asked(question="Who opened the hall?", answer="Hugo Berggren", document_ids=("f",), held_out=True),
]  # fmt: skip


@pytest.fixture(scope="session")
def material() -> Material:
    return Material(seed=1, asked=ASKED, documents=DOCUMENTS, in_form=FORM.apply)


@pytest.fixture(scope="session")
def policy_of() -> Callable[..., Policy]:
    """A policy of the project by name, with other settings if given."""

    def load(name: str, **changes: Any) -> Policy:
        policy = load_policy(PROJECT / "policies" / f"{name}.yaml")
        return policy.model_copy(update={"settings": {**policy.settings, **changes}})

    return load


@pytest.fixture(scope="session")
def items_of(material: Material) -> Callable[[Policy], list[Item]]:
    return lambda policy: list(policy_kind(policy.kind).items(material, policy_settings(policy)))


@pytest.fixture(scope="session")
def reward_of() -> Callable[[Policy, str, Item], float]:
    return lambda policy, text, item: policy_reward(policy, text, item.case)
