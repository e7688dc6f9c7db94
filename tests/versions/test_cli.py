"""The commands, for people and for programs, from a push to a collection."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner
from versions_case import flip

from forge_dagster.cli.main import app
from forge_dagster.errors import UserError
from forge_dagster.home import Home
from forge_dagster.provenance.run import Run
from forge_dagster.versions.pointer import Version


def forge(*arguments: str, code: int = 0) -> dict:
    """What a command says to a program."""
    done = CliRunner().invoke(app, [*arguments, "--json"], catch_exceptions=False)
    assert done.exit_code == code, done.output
    return json.loads(done.stdout)


def test_push_with_inputs_pull_and_fsck(home: Home, versions: dict[str, Version], remote: Path, store):
    pushed = forge("push", "team/release", "--with-inputs")
    assert {name.partition("@")[0] for name in pushed["versions"]} == {"team/release", "prose", "words"}
    assert forge("push", "team/release")["carried"] == 0
    shutil.rmtree(store.folder("team/release"))
    pulled = forge("pull", "team/release")
    assert (pulled["state"], pulled["remote"]) == ("restored", None)
    checked = forge("fsck", "--remote")
    assert (checked["problems"], len(checked["unpushed"])) == ([], 1)
    flip(store.content(*versions["prose"]) / "text.txt")
    problems = forge("fsck", code=3)["problems"]
    assert {problem["fault"] for problem in problems} == {"flipped bytes"}
    mend = problems[0]["mend"].split()[1:]
    assert forge(*mend)["fetched"] == 1
    assert forge("fsck")["problems"] == []


def test_people_read_the_same(home: Home, versions: dict[str, Version], remote: Path, store):
    said = CliRunner().invoke(app, ["push"], catch_exceptions=False)
    assert "4 versions" in said.stdout
    flip(store.content(*versions["prose"]) / "text.txt")
    said = CliRunner().invoke(app, ["fsck"], catch_exceptions=False)
    assert said.exit_code == 3
    assert f"mend: forge pull prose@{versions['prose'][1][:12]}" in said.output


def test_gc_shows_a_plan_and_deletes_what_was_agreed(home: Home, versions, remote: Path, toy, make):
    make(Run(home, "between"), "words", toy("module_between", "between"))
    make(Run(home, "last"), "words", "module_words_second", force=True)
    forge("push")
    shown = forge("gc")
    ((key, digest),) = [(each["key"], each["digest"]) for each in shown["versions"]]
    assert (shown["deleted"], shown["bytes"] > 0, shown["versions"][0]["remotes"]) == (False, True, ["backup"])
    assert forge("keep", f"{key}@{digest[:12]}", "--reason", "audit of 2026")["kept"][0]["reason"] == "audit of 2026"
    assert forge("gc", "--yes")["deleted"] is False
    with pytest.raises(UserError, match="what was looked at"):
        forge("gc", "--plan", shown["plan"])
    assert forge("keep", f"{key}@{digest}", "--drop", "--reason", "audit over") == {"kept": []}
    with pytest.raises(UserError, match="is not kept"):
        forge("keep", f"{key}@{digest}", "--drop", "--reason", "again")
    assert forge("gc", "--plan", shown["plan"])["deleted"] is True
    assert forge("gc")["versions"] == []
    assert forge("pull", f"{key}@{digest[:12]}")["remote"] == "backup"


def test_nothing_to_push(home: Home, remote: Path):
    with pytest.raises(UserError, match="no version stands"):
        forge("push")


@pytest.mark.parametrize("name", ["push", "pull", "fsck", "gc", "keep"])
def test_help_teaches(name: str):
    said = CliRunner().invoke(app, [name, "--help"]).stdout
    assert "--json" in said
    assert len(said.splitlines()) > 15
