"""JSON records as readable lines: `key: value`, nested keys joined by dots."""

import json
from collections.abc import Iterator
from typing import Any

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.text import decode
from forge_dagster.errors import DataError

EXTENSIONS = ("json", "jsonl", "ndjson")
DEEPEST = 100
TITLES = ("title", "name", "subject", "summary", "id")


def parse(data: bytes) -> Document:
    """Text of one JSON value, or of one a line. Raises DataError if it is neither."""
    text = decode(data).lstrip("\ufeff")
    records = _records(text)
    first = records[0] if records else None
    title = next((str(first[key]) for key in TITLES if key in first), "") if isinstance(first, dict) else ""
    return Document(title, "\n\n".join("\n".join(_lines("", record, 0)) for record in records))


def _records(text: str) -> list[Any]:
    try:
        whole = json.loads(text, parse_int=str)
        return whole if isinstance(whole, list) else [whole]
    except RecursionError as error:
        raise DataError("nested too deep", rule=f"at most {DEEPEST} levels") from error
    except ValueError as whole_error:
        try:
            return [json.loads(line, parse_int=str) for line in text.splitlines() if line.strip()]
        except (ValueError, RecursionError):
            raise DataError(f"no JSON: {whole_error}", rule="one JSON value, or one a line") from whole_error


def _lines(key: str, value: Any, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        raise DataError("nested too deep", rule=f"at most {DEEPEST} levels")
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _lines(f"{key}.{name}" if key else str(name), inner, depth + 1)
    elif isinstance(value, list) and any(isinstance(item, (dict, list)) for item in value):
        for item in value:
            yield from _lines(key, item, depth + 1)
    elif isinstance(value, list):
        yield f"{key}: {', '.join(map(str, value))}" if key else ", ".join(map(str, value))
    elif value not in (None, ""):
        yield f"{key}: {value}" if key else str(value)
