"""A policy file is validated before anything is trained by it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from forge_dagster.errors import RecipeError
from forge_dagster.home import PROJECT
from forge_dagster.policy import Policy, load_policies, load_policy
from forge_dagster.policy_kinds import policy_kind_names, policy_settings

SETTINGS = {"template": "Answer: {answer}.", "form": r"Answer: [^\n]{1,200}\."}
GOOD = {"name": "short", "kind": "answer_form", "description": "short answers", "settings": SETTINGS}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "short.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **changes}))
    return path


def settings(**changes: str) -> Any:
    return policy_settings(Policy.model_validate({**GOOD, "settings": SETTINGS | changes}))


def test_the_template_puts_an_answer_in_form():
    policy = settings()
    assert policy.apply("83 bar") == policy.apply(" 83 bar. ".strip()) == "Answer: 83 bar."
    assert policy.holds("Answer: 83 bar.")
    for wrong in ("83 bar", "Answer: 83 bar", "Answer: 83\nbar.", "So: Answer: 83 bar.", "Answer: 83 bar.\n", ""):
        assert not policy.holds(wrong)


def test_braces_in_an_answer_stay():
    assert settings().apply("{answer} {0}") == "Answer: {answer} {0}."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"settings": SETTINGS | {"template": "Answer."}}, r"template = 'Answer\.' has no {answer}"),
        ({"settings": SETTINGS | {"form": "("}}, r"form = '\(' is no regular expression"),
        ({"settings": SETTINGS | {"form": "Reply: .*"}}, r"form = 'Reply: \.\*' does not match its own template"),
        ({"settings": SETTINGS | {"tone": 1}}, r"short\.yaml \(kind answer_form\): tone = 1: unknown key"),
        ({"name": "other"}, r"name = 'other'\nRule: the name equals the file name\nMend: rename to other\.yaml"),
        ({"kind": "tone"}, r"kind: 'tone'\nRule: a kind of policy is one of answer_form, audience"),
        ({"extra": 1}, r"extra = 1: unknown key"),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, changes: dict[str, object], message: str):
    with pytest.raises(RecipeError, match=message):
        policy_settings(load_policy(write(tmp_path, **changes)))


def test_the_policies_of_the_project_load():
    policies = load_policies(PROJECT / "policies")
    assert set(policies) == {"answer-form", "audience", "cite-document", "current-rule", "house-terms", "no-secrets"}
    assert {policy.kind for policy in policies.values()} == set(policy_kind_names())
    assert policy_settings(policies["answer-form"]).holds("Answer: Salzburg.")
