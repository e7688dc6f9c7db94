"""The ledger as agents see and fill it: what each did, asked and was refused, followed without reading it twice."""

import hashlib
import json
import threading
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from forge_dagster.provenance.ledger import Ledger

RUN, ENDED, READ, SCORES, PROPOSED, REFUSED = (
    "agent-run", "agent-run-ended", "agent-read", "agent-scores", "agent-proposal", "agent-refused",
)  # fmt: skip
ACCEPTED, DECLINED = "proposal-accepted", "proposal-declined"
KINDS = frozenset({RUN, ENDED, READ, SCORES, PROPOSED, REFUSED, ACCEPTED, DECLINED})
MOST_REASON = 400  # characters that the ledger keeps of why something was refused
MARKS = (b'"agent:', b'"kind":"agent-', b'"kind":"proposal-')
"""One of these stands in every line that concerns an agent; other lines are not parsed."""


class Journal:
    """Statements about agents in the ledger. What was read once is kept; only what was appended since is read."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._at, self._head, self._others = 0, b"", 0
        self._entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._made: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._lock = threading.Lock()

    def state(self, kind: str, statement: Mapping[str, Any]) -> dict[str, Any]:
        """Append a statement of one of KINDS."""
        assert kind in KINDS, kind
        return self.ledger.append(kind, dict(statement))

    def of(self, kind: str, agent: str, since: timedelta | None = None) -> list[dict[str, Any]]:
        """Entries of a kind about an agent, oldest first; with `since` those that are no older."""
        self._follow()
        oldest = datetime.now(UTC) - since if since else None
        return [
            entry
            for entry in self._entries[kind]
            if entry["statement"]["agent"] == agent
            and (oldest is None or datetime.fromisoformat(entry["time"]) >= oldest)
        ]

    def about(self, kind: str, **said: Any) -> Iterator[dict[str, Any]]:
        """Entries of a kind whose statements say all this, oldest first."""
        self._follow()
        return (entry for entry in self._entries[kind] if said.items() <= entry["statement"].items())

    def made_in(self, launch: str) -> list[dict[str, Any]]:
        """Statements of the artifacts that an agent's run made."""
        self._follow()
        return self._made[launch]

    def others(self) -> int:
        """How many statements there are about anything but agents: artifacts, pointers, deletions."""
        self._follow()
        return self._others

    def refuse(self, agent: str, tool: str, reason: str, arguments: Any) -> None:
        """Record that something was refused; of the arguments the digest alone, for they may be of any size."""
        body = json.dumps(arguments, sort_keys=True, default=str).encode()
        said = {"agent": agent, "tool": tool[:100], "reason": reason[:MOST_REASON]}
        self.state(REFUSED, {**said, "arguments": hashlib.sha256(body).hexdigest(), "bytes": len(body)})

    def _follow(self) -> None:
        self.ledger.follow()
        with self._lock:
            path = self.ledger.path
            if not path.exists():
                return
            with path.open("rb") as stream:
                self._begin_anew_if_replaced(stream.readline(), path)
                stream.seek(self._at)
                for line in stream:
                    if not line.endswith(b"\n"):
                        break  # it is being written
                    self._at += len(line)
                    self._others += not any(mark in line for mark in MARKS[1:])
                    if any(mark in line for mark in MARKS):
                        self._take(json.loads(line))

    def _begin_anew_if_replaced(self, head: bytes, path: Path) -> None:
        if head != self._head or path.stat().st_size < self._at:
            self._at, self._head, self._others = 0, head, 0
            self._entries.clear()
            self._made.clear()

    def _take(self, entry: dict[str, Any]) -> None:
        statement = entry["statement"]
        if entry["kind"] in KINDS:
            self._entries[entry["kind"]].append(entry)
        elif entry["kind"] == "artifact" and str(statement.get("actor", "")).startswith("agent:"):
            self._made[statement["run"]].append(statement)
