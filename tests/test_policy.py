"""A policy file is validated before anything is trained by it."""

from pathlib import Path

import pytest
import yaml

from forge_dagster.errors import RecipeError
from forge_dagster.home import PROJECT
from forge_dagster.policy import load_policies, load_policy

GOOD = {
    "name": "short",
    "kind": "answer-form",
    "description": "short answers",
    "template": "Answer: {answer}.",
    "form": r"Answer: [^\n]{1,200}\.",
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "short.yaml"
    path.write_text(yaml.safe_dump({**GOOD, **changes}))
    return path


def test_the_template_puts_an_answer_in_form(tmp_path: Path):
    policy = load_policy(write(tmp_path))
    assert policy.apply("83 bar") == policy.apply(" 83 bar. ".strip()) == "Answer: 83 bar."
    assert policy.holds("Answer: 83 bar.")
    for wrong in ("83 bar", "Answer: 83 bar", "Answer: 83\nbar.", "So: Answer: 83 bar.", "Answer: 83 bar.\n", ""):
        assert not policy.holds(wrong)


def test_braces_in_an_answer_stay(tmp_path: Path):
    assert load_policy(write(tmp_path)).apply("{answer} {0}") == "Answer: {answer} {0}."


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"template": "Answer."}, r"template = 'Answer\.' has no {answer}"),
        ({"form": "("}, r"form = '\(' is no regular expression"),
        ({"form": "Reply: .*"}, r"form = 'Reply: \.\*' does not match its own template"),
        ({"name": "other"}, r"name = 'other'\nRule: the name equals the file name\nMend: rename to other\.yaml"),
        ({"kind": "tone"}, r"kind = 'tone'"),
        ({"extra": 1}, r"extra = 1: unknown key"),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, changes: dict[str, object], message: str):
    with pytest.raises(RecipeError, match=message):
        load_policy(write(tmp_path, **changes))


def test_the_policies_of_the_project_load():
    policies = load_policies(PROJECT / "policies")
    assert policies["answer-form"].holds("Answer: Salzburg.")
