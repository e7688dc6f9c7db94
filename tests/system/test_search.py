"""A study of a nano recipe: killed with its processes and run again, it gives what an undisturbed one does."""

import json
import time
from collections.abc import Callable

import pytest
from nano import Organisation, kill

pytestmark = pytest.mark.system

ASKED = ("search", "nano", "--trials", "4", "--batch", "2", "--pieces", "2", "--tokens", "20480", "--json")


def test_a_killed_study_goes_on(organisation: Callable[[], Organisation]):
    undisturbed = organisation()
    done = undisturbed.forge(*ASKED)
    assert done.returncode == 0, done.stderr
    body = json.loads(done.stdout)
    assert len(body["trials"]) == 4
    assert (undisturbed.root / "home" / "artifacts" / "study" / "nano" / "CURRENT").is_file()

    killed = organisation()
    process = killed.start(*ASKED)
    answers = killed.home / "work" / "study" / "nano"
    while process.poll() is None and not list(answers.glob("*/answers/*.json")):
        time.sleep(0.05)
    assert process.poll() is None, "it ended before it could be killed"
    kill(process)
    again = killed.forge(*ASKED)
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["artifact"] == body["artifact"]
    table = killed.forge(*ASKED[:-1])
    assert table.returncode == 0, table.stderr
    assert "Recipe: " in table.stdout
    assert killed.forge("verify", "study/nano").returncode == 0
