"""Quotas are data: what breaks a rule, or is no key, is refused with the rule."""

from pathlib import Path

import pytest
import yaml

from forge_dagster.agents.quota import Agents, agents_file, load_agents
from forge_dagster.errors import RecipeError, UserError
from forge_dagster.home import PROJECT


def test_the_projects_own_file_lets_nobody_spend_or_read_text():
    found = load_agents(PROJECT / "agents.yaml")
    assert [each.name for each in found.agents] == ["reader"]
    for quota in found.agents:
        assert (quota.hours, quota.trials, quota.tokens, quota.sources) == (0, 0, 0, ())


def test_another_file_may_be_named(tmp_path: Path):
    assert agents_file({"FORGE_AGENTS": str(tmp_path / "mine.yaml")}) == tmp_path / "mine.yaml"


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        ({"agents": [{"name": "a", "houres": 1}]}, "unknown key"),
        ({"agents": [{"name": "../a"}]}, "pattern"),
        ({"agents": [{"name": "a", "hours": float("inf")}]}, "finite"),
        ({"agents": [{"name": "a"}, {"name": "a"}]}, "a name of its own"),
        ({"sealing": {"development_share": 1.0}}, "less than 1"),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, broken: dict, said: str):
    path = tmp_path / "agents.yaml"
    path.write_text(yaml.safe_dump(broken))
    with pytest.raises(RecipeError, match=said):
        load_agents(path)


def test_who_is_not_named_has_no_quota():
    with pytest.raises(UserError, match="has no quota"):
        Agents().quota("stranger")
