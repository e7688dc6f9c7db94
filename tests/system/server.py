"""`forge ui` over an organisation, spoken to by GraphQL."""

import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

import psutil
from nano import Organisation

MATERIALIZED = "{ assetNodes { assetKey { path } assetMaterializations(limit: 1) { runId } } }"
LAUNCH = """mutation ($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  ... on LaunchRunSuccess { run { runId } }
  ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
ENDED = ("SUCCESS", "FAILURE", "CANCELED")
STUCK = 1800  # seconds after which nothing more is expected; no measure of speed, for others may use the cores too
EVENTS = """query ($run: ID!) { logsForRun(runId: $run) { ... on EventConnection { events {
  ... on MessageEvent { message }
  ... on ErrorEvent { error { message cause { message } } } } } } }"""
RUNS = "{ runsOrError(limit: 20) { ... on Runs { results { runId status } } } }"


class Server:
    """`forge ui` over an organisation."""

    def __init__(self, organisation: Organisation, *options: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.headers: dict[str, str] = {}
        self.url = f"http://127.0.0.1:{self.port}"
        # A pipe that nobody reads fills up and stops the server.
        self.log = (organisation.root / "ui.log").open("ab")
        self.process = organisation.start("ui", "--port", str(self.port), *options, stdout=self.log, stderr=self.log)
        self.until(lambda: self.query("{ version }"))

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def query(self, text: str, **variables: Any) -> Any:
        body = json.dumps({"query": text, "variables": variables}).encode()
        headers = {"Content-Type": "application/json", **self.headers}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(error.read()) from error
        except OSError:
            return None  # it does not listen yet

    def until(self, condition: Callable[[], Any], seconds: float = STUCK) -> Any:
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "waited too long"
            assert self.process.poll() is None, "the server ended"
            time.sleep(0.5)
        return found

    def materialized(self) -> set[str]:
        nodes = self.query(MATERIALIZED)["assetNodes"]
        return {"/".join(node["assetKey"]["path"]) for node in nodes if node["assetMaterializations"]}

    def runs(self) -> dict[str, str]:
        return {run["runId"]: run["status"] for run in self.query(RUNS)["runsOrError"]["results"]}

    def run_by(self, click: Callable[[], None]) -> None:
        """Do what starts a run; wait until it succeeded."""
        before = set(self.runs())
        click()
        started = self.until(lambda: set(self.runs()) - before).pop()
        status = self.until(lambda: self.runs()[started] in ("SUCCESS", "FAILURE") and self.runs()[started])
        assert status == "SUCCESS"

    def close(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(timeout=STUCK)

    def launch(self, job: str, assets: Sequence[str], *, partition: str | None = None) -> str:
        """Start a run of a job's assets as the button does; return its id."""
        selection = [{"path": name.split("/")} for name in assets]
        selector = {"repositoryLocationName": "forge", "repositoryName": "__repository__", "pipelineName": job}
        tags = [{"key": "dagster/partition", "value": partition}] if partition else []
        done = self.query(
            LAUNCH,
            params={
                "selector": {**selector, "assetSelection": selection},
                "runConfigData": {},
                "executionMetadata": {"tags": tags},
            },
        )["launchPipelineExecution"]
        assert "run" in done, done
        return str(done["run"]["runId"])

    def ended(self, run_id: str) -> str:
        """Wait for the end of a run; return its status."""
        return str(self.until(lambda: (self.runs()[run_id] in ENDED) and self.runs()[run_id]))

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """What a run said, errors with their causes."""
        found: list[dict[str, Any]] = self.query(EVENTS, run=run_id)["logsForRun"]["events"]
        return found

    def kill_everything(self) -> None:
        """`kill -9` of web server, daemon, code server, run workers and steps, all at once."""
        below = psutil.Process(self.process.pid).children(recursive=True)
        for each in [psutil.Process(self.process.pid), *below]:
            each.kill()
        self.process.wait(timeout=STUCK)
