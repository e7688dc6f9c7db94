"""Everything is killed at once during a training: after a restart the run is found, failed and taken up again."""

import json
import time
from collections.abc import Callable

import psutil
import pytest
from nano import Organisation
from server import Server

pytestmark = pytest.mark.system

BASE, TOKENS = "nano/base_checkpoint", "token_shards/bpe-512"
DOCUMENTS = f"raw_documents,clean_documents,document_split,domain_benchmark,corpus,tokenizer/bpe-512,{TOKENS}"
HISTORY = "{ runsOrError(limit: 9) { ... on Runs { results { runId status parentRunId } } } }"


@pytest.fixture(scope="module")
def made(organisation: Callable[[], Organisation]) -> Organisation:
    """An organisation whose documents are ready to train on."""
    ready = organisation()
    done = ready.forge("run", "--select", DOCUMENTS)
    assert done.returncode == 0, done.stderr
    return ready


def test_all_killed_during_a_training_heals_and_gives_the_same_digest(made: Organisation):
    server = Server(made)
    run = server.launch("recipe_nano", [BASE])
    server.until(lambda: any((made.home / "work" / BASE).glob("*/checkpoints/*")))
    below = psutil.Process(server.process.pid).children(recursive=True)
    server.kill_everything()
    _, alive = psutil.wait_procs(below, timeout=60)
    assert not alive, "no step outlives its run"

    restarted = time.monotonic()
    server = Server(made)
    second = made.forge("ui", "--port", "3999")
    assert second.returncode == 5
    assert f"process {server.process.pid}" in second.stderr
    retry = server.until(lambda: _retry_of(server, run))
    print(json.dumps({"seconds from the restart until the run goes on": round(time.monotonic() - restarted)}))
    assert server.runs()[run] == "FAILURE"
    assert server.ended(retry) == "SUCCESS"
    server.close()

    healed = made.digests()[BASE]
    assert healed in (made.home / "runs" / run / "outputs" / f"{BASE}.json").read_text(), "in the folder of the killed"
    undisturbed = made.forge("run", "--select", BASE, "--force")
    assert undisturbed.returncode == 0, undisturbed.stderr
    assert made.digests()[BASE] == healed


def _retry_of(server: Server, run: str) -> str | None:
    """Id of the run that took up `run`, once it computes."""
    for each in server.query(HISTORY)["runsOrError"]["results"]:
        if each["parentRunId"] == run and each["status"] in ("STARTED", "SUCCESS"):
            return str(each["runId"])
    return None
