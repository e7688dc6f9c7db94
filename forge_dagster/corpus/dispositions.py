"""What became of each document at a hop: kept, dropped by a rule, or quarantined for a reason; it adds up."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

DISPOSITIONS = pa.schema(
    [("path", pa.string()), ("id", pa.string()), ("disposition", pa.string()), ("reason", pa.string())]
)
KINDS = ("kept", "dropped", "quarantined")


def row(path: str, document: str | None, disposition: str, reason: str = "") -> dict[str, Any]:
    """One line of a dispositions table."""
    return {"path": path, "id": document, "disposition": disposition, "reason": reason}


def counts(rows: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many rows each disposition has, and how many each rule or reason took; a reason's detail is left out."""
    kinds = Counter(str(item["disposition"]) for item in rows)
    reasons = Counter(f"{item['disposition']}/{item['reason'].split(':')[0]}" for item in rows if item["reason"])
    return {kind: kinds[kind] for kind in KINDS} | dict(sorted(reasons.items()))
