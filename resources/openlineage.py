"""OpenLineage events (spec 2-0-2) of each artifact made, to a file or an HTTP endpoint that automation.yaml names.

They carry names, digests, counts and kinds of errors: no message, no text of a document. An endpoint that fails costs a
run nothing but its timeout, and is told.
"""

import fcntl
import json
import os
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import httpx

from forge_dagster.automation import OpenLineage
from forge_dagster.provenance.build import Built, Order
from forge_dagster.provenance.record import InputRef

PRODUCER = "https://forge-dagster"
SPEC = "https://openlineage.io/spec"
FACETS = {
    "parent": "1-2-0/ParentRunFacet",
    "version": "1-0-1/DatasetVersionDatasetFacet",
    "outputStatistics": "1-0-2/OutputStatisticsOutputDatasetFacet",
    "errorMessage": "1-0-1/ErrorMessageRunFacet",
    "jobType": "2-0-4/JobTypeJobFacet",
}


class Attempt(NamedTuple):
    """One try of one artifact: Dagster's run (a UUID) and job, and which try it is."""

    run: str
    job: str
    number: int


class Events:
    """Events of one attempt; `say` gets what could not be sent."""

    def __init__(
        self, settings: OpenLineage, home: Path, attempt: Attempt, key: str, say: Callable[[str], None]
    ) -> None:
        self.settings, self.home, self.attempt, self.key, self.say = settings, home, attempt, key, say

    def started(self, order: Order) -> None:
        """It begins; digests of what it reads are told at its end."""
        names = [*order.inputs.values(), *(f"external/{name}" for name in order.external)]
        self._send("START", inputs=[self._dataset(name) for name in dict.fromkeys(names)], outputs=[])

    def ended(self, built: Built) -> None:
        """It stands, made or reused."""
        record = built.record
        read = [self._read(name, ref) for name, ref in sorted(record.identity.inputs.items())]
        statistics: dict[str, Any] = {"size": record.bytes}
        if "rows" in record.report.counts:
            statistics["rowCount"] = record.report.counts["rows"]
        facets = {"outputFacets": {"outputStatistics": _facet("outputStatistics", **statistics)}}
        self._send("COMPLETE", inputs=read, outputs=[{**self._dataset(self.key, record.digest), **facets}])

    def failed(self, error: BaseException) -> None:
        """It was not made; the kind of error is told, never its message, which may quote a document."""
        said = _facet("errorMessage", message=type(error).__name__, programmingLanguage="Python")
        self._send("FAIL", inputs=[], outputs=[], errorMessage=said)

    def _read(self, name: str, ref: InputRef) -> dict[str, Any]:
        return self._dataset(ref.key or f"external/{name}", ref.digest)

    def _dataset(self, name: str, digest: str | None = None) -> dict[str, Any]:
        facets = {"version": _facet("version", datasetVersion=digest)} if digest else {}
        return {"namespace": self.settings.namespace, "name": name, "facets": facets}

    def _send(self, kind: str, *, inputs: list[Any], outputs: list[Any], **run_facets: Any) -> None:
        run, job, number = self.attempt
        parent = _facet("parent", run={"runId": run}, job={"namespace": self.settings.namespace, "name": job})
        kind_of_job = _facet("jobType", processingType="BATCH", integration="DAGSTER", jobType="ASSET")
        event = {
            "eventType": kind,
            "eventTime": datetime.now(UTC).isoformat(),
            "producer": PRODUCER,
            "schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
            "run": {
                "runId": str(uuid.uuid5(uuid.UUID(run), f"{self.key}/{number}")),
                "facets": {"parent": parent, **run_facets},
            },
            "job": {"namespace": self.settings.namespace, "name": self.key, "facets": {"jobType": kind_of_job}},
            "inputs": inputs,
            "outputs": outputs,
        }
        for name, deliver in (("file", self._append), ("url", self._post)):
            if getattr(self.settings, name) is not None:
                self._try(kind, deliver, event)

    def _try(self, kind: str, deliver: Callable[[Mapping[str, Any]], None], event: Mapping[str, Any]) -> None:
        try:
            deliver(event)
        except (httpx.HTTPError, OSError, KeyError) as error:
            # httpx puts the whole address into its messages, and that may hold a password.
            status = f" {error.response.status_code}" if isinstance(error, httpx.HTTPStatusError) else ""
            where = httpx.URL(str(self.settings.url)).host if deliver == self._post else self.settings.file
            self.say(f"OpenLineage {kind} of {self.key} did not reach {where}: {type(error).__name__}{status}")

    def _append(self, event: Mapping[str, Any]) -> None:
        path = self.home / str(self.settings.file)
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            stream.write(json.dumps(event).encode() + b"\n")

    def _post(self, event: Mapping[str, Any]) -> None:
        settings = self.settings
        key = os.environ[settings.key_variable] if settings.key_variable else None
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        sent = httpx.post(
            str(settings.url), json=event, headers=headers, timeout=settings.timeout_seconds, trust_env=False
        )
        sent.raise_for_status()


def _facet(kind: str, **said: Any) -> dict[str, Any]:
    name = FACETS[kind].partition("/")[2]
    return {"_producer": PRODUCER, "_schemaURL": f"{SPEC}/facets/{FACETS[kind]}.json#/$defs/{name}", **said}
