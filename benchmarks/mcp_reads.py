"""How long the reading tools of `forge mcp` take beside many runs: p50 and p95 of each, by a client of the SDK.

`python -m benchmarks mcp_reads [RUNS [CALLS [CLOCK]]]`. A home with one small release of 2,000 documents is made
without training; to it come so many runs of an agent as runs leave them: rows and tags in Dagster's run storage,
folders under `runs/`, statements in the ledger. The client is in the server's process. CLOCK `cpu` counts the
processor time of the process, which tells more where other programs run.
"""

import hashlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anyio
import dagster as dg
import yaml
from mcp import Client

from benchmarks._small_release import document_id, small_release
from forge_dagster.agents.journal import ENDED, RUN
from forge_dagster.agents.quota import Agents
from forge_dagster.cli.tools.desk import Desk
from forge_dagster.cli.tools.server import Front, make_server
from forge_dagster.environment import close
from forge_dagster.home import Home
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.provenance.ledger import Ledger
from resources.instance import prepare_dagster_home
from resources.tags import ACTOR_TAG, LAUNCH_TAG

DOCUMENTS = 2000
AGENT = "agent:bench"
QUOTA = {"name": "bench", "sources": ["plant"], "calls_a_minute": 100_000, "searches_a_day": 100_000}
MADE = ("corpus", "tokenizer/t", "token_shards/t", "small/base_checkpoint", "small/scorecard", "small/release")
ASKED: dict[str, dict[str, Any]] = {
    "status": {},
    "sources": {},
    "recipes": {},
    "schema": {"kind": "recipe"},
    "runs": {"most": 20},
    "scorecard": {"recipe": "small"},
    "compare": {"recipe": "small", "with": "small"},
    "budget": {},
    "proposals": {},
    "watch": {"run": "launch-00000007"},
    "search": {"query": "word7x3 word7x4"},
    "where_used": {"document": document_id(7)},
    "sources_of": {"release": "small"},
}


def main(runs: str = "10000", calls: str = "20", clock: str = "wall") -> None:
    """Print p50 and p95 by tool, in milliseconds, and what the first call of each took."""
    read = time.process_time if clock == "cpu" else time.perf_counter
    with tempfile.TemporaryDirectory() as scratch:
        root = Path(scratch)
        for folder in ("sources", "recipes"):
            (root / folder).mkdir()
        (root / "documents").mkdir()
        source = {"name": "desk", "kind": "folder", "location": "../documents", "owner": "o", "licence": "internal"}
        (root / "sources" / "desk.yaml").write_text(yaml.safe_dump(source | {"sensitivity": "internal"}))
        os.environ |= {"FORGE_HOME": str(root / "home"), "FORGE_SOURCES": str(root / "sources")}
        os.environ["DAGSTER_HOME"] = str(root / "home" / "dagster")
        close()
        home = Home(root / "home")
        small_release(home, documents=DOCUMENTS)
        begun = time.perf_counter()
        _state(home, int(runs))
        _store(home, int(runs))
        print(
            f"{int(runs):,} runs written in {time.perf_counter() - begun:.0f} s; {home.ledger.stat().st_size:,} bytes"
        )
        front = Front(Desk(home, Agents.model_validate({"agents": [QUOTA]}), "bench"))
        taken = anyio.run(_measure, front, int(calls), read)
    print(f"\n{'tool':<14}{'first ms':>10}{'p50 ms':>10}{'p95 ms':>10}   ({clock} clock, {calls} calls)")
    for name, seconds in taken.items():
        later = sorted(seconds[1:])
        p95 = later[min(len(later) - 1, int(0.95 * len(later)))]
        print(f"{name:<14}{seconds[0] * 1e3:>10.1f}{statistics.median(later) * 1e3:>10.1f}{p95 * 1e3:>10.1f}")


async def _measure(front: Front, calls: int, read: Callable[[], float]) -> dict[str, list[float]]:
    taken: dict[str, list[float]] = {}
    async with Client(make_server(front)) as client:
        for name, arguments in ASKED.items():
            taken[name] = []
            for _ in range(calls + 1):
                start = read()
                found = await client.call_tool(name, arguments)
                taken[name].append(read() - start)
                assert not found.is_error, (name, found.content)
    return taken


def _state(home: Home, runs: int) -> None:
    """What the runs said in the ledger, chained as the ledger does, without a sync for each line."""
    entries, now = list(Ledger(home.ledger).entries()), datetime.now(UTC).isoformat(timespec="seconds")
    sequence, previous = entries[-1]["sequence"] + 1, entries[-1]["hash"]
    with home.ledger.open("ab") as stream:
        for number in range(runs):
            launch = _launch(number)
            about = {"agent": AGENT, "launch": launch}
            held = {
                "target": "small",
                "plan": "0" * 64,
                "tokens": 0,
                "trials": 1,
                "width": 1.0,
                "hours": 0.1,
                "unit": "processor",
            }
            made = [
                ("artifact", {"key": key, "digest": hashlib.sha256(f"{key}{number}".encode()).hexdigest(),
                              "fingerprint": "f" * 64, "record": "r" * 64, "run": launch, "actor": AGENT})
                for key in MADE
            ]  # fmt: skip
            said: list[tuple[str, dict[str, Any]]] = [
                (RUN, {**about, **held}), *made, (ENDED, {**about, "exit_code": 0, "seconds": 9.0}),
            ]  # fmt: skip
            for kind, statement in said:
                entry: dict[str, Any] = {
                    "sequence": sequence, "previous": previous, "time": now, "kind": kind,
                    "statement": statement,
                }  # fmt: skip
                previous = hashlib.sha256(canonical_json(entry)).hexdigest()
                stream.write(canonical_json({**entry, "hash": previous}) + b"\n")
                sequence += 1


def _store(home: Home, runs: int) -> None:
    """Rows of Dagster's run storage, and the folders that the runs wrote."""
    prepare_dagster_home()
    with dg.DagsterInstance.get() as instance:
        for number in range(runs):
            launch = _launch(number)
            instance.add_run(
                dg.DagsterRun(
                    job_name="models",
                    status=dg.DagsterRunStatus.SUCCESS,
                    tags={LAUNCH_TAG: launch, ACTOR_TAG: AGENT, "dagster/max_retries": "0"},
                )
            )
            folder = home.runs / launch
            for key in MADE:
                output = json.dumps({"digest": "0" * 64, "reused": False, "seconds": 1.0}).encode()
                for kind, body in (("outputs", output), ("progress", b'{"done":1,"total":1,"text":"","state":"done"}')):
                    path = folder / kind / f"{key}.json"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(body)
            (folder / "inputs.json").write_bytes(b'{"actor":"agent:bench"}')


def _launch(number: int) -> str:
    return f"launch-{number:08}"
