"""The report of a release: one HTML page that loads nothing and runs no script but its own search and zoom."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from forge_dagster.bundle.facts import Facts
from forge_dagster.html_page import filled, script_hash

TEMPLATE = Path(__file__).with_suffix(".html").read_text(encoding="utf-8")
SCRIPT = Path(__file__).with_suffix(".js").read_text(encoding="utf-8")
WIDTH, HEIGHT, GAP_X, GAP_Y = 200, 40, 30, 26
"""Of a box of the drawing, in px."""


def report(facts: Facts) -> str:
    """HTML of a release; what documents say is escaped, and the page allows the one script whose hash it names."""
    boxes, lines, extent = _boxes(facts)
    compared = (facts.changes["difference"] or {}).get("scores", ())
    return filled(
        TEMPLATE,
        facts=facts,
        added=sum(facts.summary["removed"].values()) + facts.summary["outcomes"].get("kept", 0),
        compared={row["metric"]: row for row in compared},
        files={(link.record.key, link.record.digest): link.file for link in facts.links},
        checkpoints=facts.scorecard["checkpoints"],
        boxes=boxes,
        lines=lines,
        width=WIDTH,
        height=HEIGHT,
        extent=extent,
        script=SCRIPT,
        script_hash=script_hash(SCRIPT),
        rows=re.sub("[<>&\u2028\u2029]", lambda found: f"\\u{ord(found[0]):04x}", _rows(facts.documents)),
    )


def _rows(documents: Sequence[Mapping[str, Any]]) -> str:
    """Documents as JSON, what many share written once: `names` of counts, `states` (source, what became of it, why),
    and `rows` of id, path, number of a state, and counts in the order of the names."""
    used = [{**row.get("used", {}), **row.get("read", {})} for row in documents]
    names = sorted({name for counts in used for name in counts})
    states: dict[tuple[str, str, str], int] = {}
    rows = []
    for row, counts in zip(documents, used, strict=True):
        why = row["stage"] + (f": {row['reason']}" if row.get("reason") else "")
        state = states.setdefault((row["source"], row.get("split") or row["outcome"], why), len(states))
        rows.append([row.get("id") or "", row["path"], state, *(counts.get(name, 0) for name in names if counts)])
    return json.dumps({"names": names, "states": list(states), "rows": rows}, ensure_ascii=False, separators=(",", ":"))


def _boxes(facts: Facts) -> tuple[list[dict[str, Any]], list[tuple[int, int, int, int]], tuple[int, int]]:
    """Boxes of artifacts in levels by their distance from raw documents, lines between them, the drawing's size."""
    records = {(link.record.key, link.record.digest): link for link in facts.links}
    depth: dict[tuple[str, str], int] = {}

    def measure(at: tuple[str, str]) -> int:
        if at not in depth:
            inputs = records[at].record.identity.inputs.values()
            depth[at] = 1 + max((measure((ref.key, ref.digest)) for ref in inputs if ref.key), default=-1)
        return depth[at]

    levels: dict[int, list[tuple[str, str]]] = {}
    for at in sorted(records):
        levels.setdefault(measure(at), []).append(at)
    widest = max(len(found) for found in levels.values())
    place = {
        at: (
            int((widest - len(found)) / 2 * (WIDTH + GAP_X)) + column * (WIDTH + GAP_X) + 4,
            level * (HEIGHT + GAP_Y) + 4,
        )
        for level, found in levels.items()
        for column, at in enumerate(found)
    }
    boxes = [{"x": x, "y": y, "link": records[at]} for at, (x, y) in place.items()]
    lines = [
        (place[ref.key, ref.digest][0] + WIDTH // 2, place[ref.key, ref.digest][1] + HEIGHT, x + WIDTH // 2, y)
        for at, (x, y) in place.items()
        for ref in records[at].record.identity.inputs.values()
        if ref.key
    ]
    size = (max(x for x, _ in place.values()) + WIDTH + 8, max(y for _, y in place.values()) + HEIGHT + 8)
    return boxes, lines, size
