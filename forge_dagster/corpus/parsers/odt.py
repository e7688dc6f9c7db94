"""OpenDocument texts and presentations: headings, lists, tables and notes of content.xml in order."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.parsers.package import MAGIC, open_package, xml
from forge_dagster.corpus.parsers.rows import as_table
from forge_dagster.errors import DataError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["EXTENSIONS", "MAGIC", "parse"]
EXTENSIONS = ("odt", "ott", "odp", "otp")
TEXT = "{urn:oasis:names:tc:opendocument:xmlns:text:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
DUBLIN = "{http://purl.org/dc/elements/1.1/}"
LEFT_OUT = (f"{TEXT}tracked-changes", f"{OFFICE}annotation", f"{TEXT}table-of-content", f"{TEXT}alphabetical-index")
MOST_SPACES = 80  # that one <text:s> may stand for
DEEPEST = 200


def parse(data: bytes) -> Document:
    """Title, text and time of a document. Raises DataError if it is damaged or a bomb."""
    with open_package(data, "OpenDocument file") as package:
        body = xml(package, "content.xml").find(f"{OFFICE}body")
        meta = xml(package, "meta.xml") if "meta.xml" in package.namelist() else None
    if body is None:
        raise DataError("content.xml has no body", rule="an OpenDocument file")
    pieces = list(_blocks(body, 0))
    title = (meta.findtext(f".//{DUBLIN}title") if meta is not None else "") or ""
    first = next((piece.lstrip("# ").splitlines()[0] for piece in pieces if piece.strip()), "")
    return Document(
        title.strip() or first, "\n\n".join(pieces), meta.findtext(f".//{DUBLIN}date") if meta is not None else None
    )


def _blocks(parent: "Element", depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        raise DataError(f"elements nested deeper than {DEEPEST}", rule="a written document is nested less")
    for node in parent:
        if node.tag in LEFT_OUT:
            continue
        if node.tag == f"{TEXT}h":
            level = node.get(f"{TEXT}outline-level") or "1"
            yield f"{'#' * min(6, int(level) if level.isdigit() else 1)} {_inline(node)}"
        elif node.tag == f"{TEXT}p":
            if line := _inline(node).strip():
                yield line
        elif node.tag == f"{TEXT}list":
            yield "\n".join(_items(node, 0))
        elif node.tag == f"{TABLE}table":
            yield as_table(
                [[_cell(cell) for cell in row.iter(f"{TABLE}table-cell")] for row in node.iter(f"{TABLE}table-row")]
            )
        else:
            yield from _blocks(node, depth + 1)


def _cell(cell: "Element") -> str:
    return " ".join(_inline(paragraph) for paragraph in cell.iter(f"{TEXT}p"))


def _items(node: "Element", level: int) -> Iterator[str]:
    if level > DEEPEST:
        raise DataError(f"lists nested deeper than {DEEPEST}", rule="a written document is nested less")
    for item in node:
        for child in item:
            if child.tag == f"{TEXT}list":
                yield from _items(child, level + 1)
            elif child.tag in (f"{TEXT}p", f"{TEXT}h"):
                yield f"{'  ' * level}- {_inline(child).strip()}"


def _inline(node: "Element") -> str:
    pieces = [node.text or ""]
    for child in node:
        if child.tag == f"{TEXT}s":
            count = child.get(f"{TEXT}c") or "1"
            pieces.append(" " * min(MOST_SPACES, int(count) if count.isdigit() else 1))
        elif child.tag == f"{TEXT}tab":
            pieces.append("\t")
        elif child.tag == f"{TEXT}line-break":
            pieces.append("\n")
        elif child.tag == f"{TEXT}note":
            body = child.find(f"{TEXT}note-body")
            pieces.append(f" ({' '.join(_inline(p) for p in body.iter(f'{TEXT}p'))})" if body is not None else "")
        elif child.tag not in LEFT_OUT:
            pieces.append(_inline(child))
        pieces.append(child.tail or "")
    return "".join(pieces)
