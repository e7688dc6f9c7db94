"""automation.yaml: off unless a person says otherwise, and each broken rule is named."""

from pathlib import Path

import pytest

from forge_dagster.automation import Automation, automation_file, load_automation
from forge_dagster.errors import RecipeError
from forge_dagster.home import PROJECT


def test_the_projects_file_says_the_defaults():
    settings = load_automation(PROJECT / "automation.yaml")
    assert settings == Automation()
    enabled = {
        name for group in (settings.schedules, settings.sensors) for name, each in group if each.enabled
    }  # fmt: skip
    assert enabled == {"stale_runs"}
    assert settings.notifications.webhooks == ()


def test_another_file_is_named_by_the_environment(tmp_path: Path):
    assert automation_file({"FORGE_AUTOMATION": str(tmp_path / "ours.yaml")}) == tmp_path / "ours.yaml"
    assert automation_file({}) == PROJECT / "automation.yaml"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("schedules: {nightly_refresh: {cron: daily}}", r"schedules.nightly_refresh.cron = 'daily'"),
        ("schedules: {nightly_refresh: {cron: 0 2 * * *, time_zone: Mars}}", "a time zone of the IANA database"),
        ("schedules: {hourly: {cron: 0 * * * *}}", "schedules.hourly = .* unknown key"),
        ("sensors: {stale_runs: {every_seconds: 0}}", "greater than or equal to 1"),
        ("notifications: {webhooks: ['file:///etc/passwd']}", "begins with http"),
        ("notifications: {email: {host: h, sender: a@b, to: []}}", "notifications.email.to"),
        ("notifications: {email: {host: h, sender: a, to: [c@d]}}", "notifications.email.sender"),
        ("notifications: {email: {host: h, sender: a@b, to: [c@d], user: u}}", "come together"),
        ("notifications: {attempts: 0}", "greater than or equal to 1"),
    ],
)
def test_a_broken_rule_is_named(tmp_path: Path, text: str, said: str):
    (tmp_path / "automation.yaml").write_text(text)
    with pytest.raises(RecipeError, match=said):
        load_automation(tmp_path / "automation.yaml")
