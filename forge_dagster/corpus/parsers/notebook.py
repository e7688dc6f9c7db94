"""Jupyter notebooks: prose as it is, code fenced, of outputs the text alone."""

import json
from typing import Any

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.text import decode
from forge_dagster.errors import DataError

EXTENSIONS = ("ipynb",)
LONGEST_OUTPUT = 2000  # characters


def parse(data: bytes) -> Document:
    """Title and text of a notebook. Raises DataError if it is none."""
    try:
        book = json.loads(decode(data))
        cells = book["cells"] if "cells" in book else [cell for sheet in book["worksheets"] for cell in sheet["cells"]]
        language = book.get("metadata", {}).get("kernelspec", {}).get("language", "")
        pieces = [piece for cell in cells for piece in _cell(cell, str(language))]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(f"not a readable notebook: {error}", rule="Jupyter's format, version 3 or 4") from error
    title = next((line.lstrip("# ") for piece in pieces for line in piece.splitlines() if line.startswith("#")), "")
    return Document(title, "\n\n".join(pieces))


def _joined(source: Any) -> str:
    return "".join(source) if isinstance(source, list) else str(source)


def _cell(cell: dict[str, Any], language: str) -> list[str]:
    source = _joined(cell.get("source", cell.get("input", ""))).strip()
    if cell["cell_type"] != "code":
        return [source] if source else []
    shown = []
    for output in cell.get("outputs", []):
        text = output.get("text") or output.get("data", {}).get("text/plain") or ""
        if _joined(text).strip():
            shown.append(_joined(text).strip()[:LONGEST_OUTPUT])
    return [f"```{language}\n{source}\n```", *shown] if source else shown
