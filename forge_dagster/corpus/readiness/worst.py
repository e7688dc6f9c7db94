"""The documents worth a look: kept ones that read worst, and lost ones that are largest, each with its reasons."""

from typing import TYPE_CHECKING, Any

from forge_dagster.corpus.curate import PROSE
from forge_dagster.corpus.readiness.assessment import Worst
from forge_dagster.corpus.views import fetch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST = 12
FAULTS = {
    "repeated_grams": (0.5, "{:.0%} of its words repeat what it said before"),
    "repeated_lines": (0.3, "{:.0%} of its text is in lines that came before"),
    "top_gram": (0.1, "one phrase makes up {:.0%} of it"),
    "spaced_letters": (0.2, "{:.0%} of its words are single letters: a torn scan or a table"),
    "replacement_characters": (0.001, "{:.2%} of its characters could not be decoded"),
    "unread_words": (0.4, "{:.0%} of its words have no letter: figures or symbols"),
    "redacted": (0.05, "{:.0%} of its words are replaced personal data or secrets"),
}
"""Measure -> from where on it is a fault, and its words. The rules that drop a document have wider limits."""


def worst_kept(connection: "DuckDBPyConnection") -> tuple[Worst, ...]:
    """Training documents whose faults are the gravest, as multiples of where each begins."""
    measured = {name: f"quality['{name}']" for name in FAULTS}
    measured |= {
        "unread_words": "1 - quality['alphabetic_words']",
        "redacted": "least(1, len(redactions) / greatest(quality['words'], 1))",
    }
    columns = ", ".join(f"{sql} AS {name}" for name, sql in measured.items())
    gravity = f"greatest({', '.join(f'{name} / {least}' for name, (least, _) in FAULTS.items())})"
    found = fetch(
        connection,
        f"""
        WITH measured AS (
            SELECT d.source, d.path, d.id, title, {columns} FROM clean_documents d
            JOIN train_text USING (source, path) WHERE list_contains($1, format) AND quality['words'] >= 20
        )
        SELECT m.*, bytes FROM (
            SELECT *, {gravity} AS gravity FROM measured WHERE {gravity} >= 1
            ORDER BY gravity DESC, source, path LIMIT {MOST}
        ) m JOIN train_text USING (source, path) ORDER BY gravity DESC, source, path
        """,
        list(PROSE),
    )
    return tuple(
        _worst(row, [words.format(row[name]) for name, (least, words) in FAULTS.items() if row[name] >= least])
        for row in found
    )


def largest_lost(connection: "DuckDBPyConnection") -> tuple[Worst, ...]:
    """Files that a parser takes and that gave no text for training, the largest first."""
    found = fetch(
        connection,
        f"""
        SELECT id, source, path, disposition, reason, '' AS title, size AS bytes
        FROM clean_dispositions JOIN (SELECT source, path, size FROM raw_documents) USING (source, path)
        WHERE disposition <> 'kept' AND NOT starts_with(reason, 'unsupported-format')
        ORDER BY size DESC, source, path LIMIT {MOST}
        """,
    )
    return tuple(_worst(row, [f"{row['disposition']}: {row['reason'].replace(':', ': ', 1)}"]) for row in found)


def _worst(row: dict[str, Any], reasons: list[str]) -> Worst:
    plain = {name: row[name] for name in ("id", "source", "path", "title", "bytes")}
    return Worst(**plain, reasons=tuple(reasons))
