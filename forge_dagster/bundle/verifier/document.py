"""What became of one document: found by its id, its path or its bytes, from the tables of a bundle."""

import hashlib
import re
from pathlib import Path
from typing import Any

from forge_dagster.bundle.verifier.checks import Checked

SHORTEST = 6  # digits of an id
MOST = 8  # documents that are named where several are meant


def describe(found: Checked, asked: str) -> list[str]:
    """Lines on the document that is meant: an id or its beginning, a path or its end, or a file that lies here."""
    earlier = {"outcome": "learnt", "stage": "a corpus that the weights were gone on from"}
    former = [{**row, **earlier} for row in found.bundle.json("documents/use.json")["former"]]
    rows, how = _meant([*found.documents, *former], asked)
    if not rows:
        return [f"no document {asked} was read for this release"]
    if len({row.get("id") or row["path"] for row in rows}) > 1:
        names = ", ".join(f"{row['source']}/{row['path']}" for row in rows[:MOST])
        more = f" and {len(rows) - MOST:,} more" if len(rows) > MOST else ""
        return [f"{asked}: {len(rows):,} documents {how}: {names}{more}; give more of it"]
    return [line for row in rows for line in _lines(found, row)]


def _meant(rows: list[dict[str, Any]], asked: str) -> tuple[list[dict[str, Any]], str]:
    if len(asked) >= SHORTEST and re.fullmatch("[0-9a-f]+", asked):
        begin = [row for row in rows if str(row.get("id")).startswith(asked)]
        if begin:
            return begin, "begin so"
    same = [row for row in rows if asked in (row["path"], f"{row['source']}/{row['path']}")]
    if same:
        return same, "have this path"
    ends = [row for row in rows if row["path"].endswith(f"/{asked}")]
    if ends:
        return ends, "have a path that ends so"
    path = Path(asked)
    if not path.is_file():
        return [], ""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return [row for row in rows if row.get("id") == digest], "have these bytes"


def _lines(found: Checked, row: dict[str, Any]) -> list[str]:
    terms = ("licence", "owner", "legal_basis", "jurisdiction", "permitted_use", "sensitivity", "language")
    lines = [
        f"document {row.get('id') or 'without an id: it was not read'}",
        f"  {row['source']}/{row['path']}: {row['outcome']} by {row['stage']}"
        + (f", {row['reason']}" if row.get("reason") else "")
        + (f", side {row['split']}" if row.get("split") else ""),
        "  " + "; ".join(f"{name.replace('_', ' ')} {row[name]}" for name in terms if name in row),
    ]
    if row.get("alike"):
        alike = [each for each in found.documents if each.get("alike") == row["alike"] and each is not row]
        lines.append("  near-duplicates: " + ", ".join(f"{each['source']}/{each['path']}" for each in alike))
    if row.get("at"):
        lines.append(f"  in the token shards: {row['at']} (first token + tokens)")
    used = {**row.get("used", {}), **row.get("read", {})}
    lines += [f"  {_said(name, count)}" for name, count in used.items()] or ["  no stage used it"]
    if row.get("read"):
        lines.append(f"  so it is in the weights of {found.manifest['key']}@{found.manifest['digest'][:16]}")
    given = row.get("id")
    named = [
        e for e in found.ledger if given and e["kind"] not in ("artifact", "bundle") and given in str(e["statement"])
    ]
    return lines + [
        f"  the ledger, {e['time']}: {e['kind']} {e['statement'].get('reason', '')}".rstrip() for e in named
    ]


def _said(name: str, count: float) -> str:
    if name.endswith("_times"):
        return f"{name.removesuffix('_times')} read it {count:g} times"
    if name.endswith("_rows"):
        return f"{name.removesuffix('_rows')} learnt from {count:,} rows made of it"
    return f"{name.replace('_', ' ')}: {count:,} {'tokens' if name == 'token_shards' else 'rows'}"
