"""Delimited tables: a line a row, cells as they are; what begins like a formula is text."""

import csv
import io

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.parsers.rows import as_table
from forge_dagster.corpus.text import decode
from forge_dagster.errors import DataError

EXTENSIONS = ("csv", "tsv")
SNIFFED = 20_000  # characters the delimiter is told from
MOST_ROWS = 100_000
LARGEST_CELL = 1 << 20  # characters


def parse(data: bytes) -> Document:
    """Rows of a table. Raises DataError if it is no text, or more than a document."""
    text = decode(data)
    csv.field_size_limit(LARGEST_CELL)
    try:
        dialect: type[csv.Dialect] = csv.Sniffer().sniff(text[:SNIFFED], delimiters=",;\t|")
    except csv.Error:
        dialect = csv.excel_tab if "\t" in text[:SNIFFED] else csv.excel
    rows: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), dialect):
            rows.append(row)
            if len(rows) > MOST_ROWS:
                raise DataError(f"more than {MOST_ROWS:,} rows", rule="a larger table is data, not a document")
    except csv.Error as error:
        raise DataError(f"not a readable table: {error}", rule="rows of cells") from error
    return Document(" | ".join(rows[0])[:200] if rows else "", as_table(rows))
