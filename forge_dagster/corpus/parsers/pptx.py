"""Presentations: a heading a slide, its text frames and tables in reading order, the speaker's notes after them."""

import io
import zipfile
from collections.abc import Iterable, Iterator
from typing import Any

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.parsers.package import MAGIC, core_properties, open_package, refuse_entities
from forge_dagster.corpus.parsers.rows import as_table
from forge_dagster.errors import DataError

__all__ = ["EXTENSIONS", "MAGIC", "parse"]
EXTENSIONS = ("pptx", "pptm", "potx", "ppsx")
DEEPEST_GROUP = 20


def parse(data: bytes) -> Document:
    """Title, text and time of a presentation. Raises DataError if it is damaged or a bomb."""
    from lxml.etree import LxmlError
    from pptx import Presentation
    from pptx.exc import PythonPptxError

    with open_package(data, "PPTX") as package:
        refuse_entities(package)
        title, time = core_properties(package)
    try:
        pieces = [piece for slide in Presentation(io.BytesIO(data)).slides for piece in _slide(slide)]
    except (PythonPptxError, LxmlError, KeyError, ValueError, AttributeError, OSError, zipfile.BadZipFile) as error:
        raise DataError(f"not a readable PPTX: {error}", rule="an intact file") from error
    first = next((piece.lstrip("# ") for piece in pieces if piece.strip()), "")
    return Document(title or first.splitlines()[0] if title or first else "", "\n\n".join(pieces), time)


def _slide(slide: Any) -> Iterator[str]:
    heading = slide.shapes.title
    if heading is not None and heading.has_text_frame and heading.text_frame.text.strip():
        yield f"# {' '.join(heading.text_frame.text.split())}"
    identifier = heading.shape_id if heading is not None else None
    yield from _shapes((shape for shape in slide.shapes if shape.shape_id != identifier), depth=0)
    if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
        notes = slide.notes_slide.notes_text_frame.text.strip()
        if notes:
            yield f"Notes: {notes}"


def _shapes(shapes: Iterable[Any], depth: int) -> Iterator[str]:
    for shape in sorted(shapes, key=lambda each: (each.top or 0, each.left or 0)):
        if getattr(shape, "has_table", False):
            yield as_table([[cell.text for cell in row.cells] for row in shape.table.rows])
        elif shape.has_text_frame:
            lines = [f"{'  ' * p.level}- {p.text}" if p.level else p.text for p in shape.text_frame.paragraphs]
            if any(line.strip() for line in lines):
                yield "\n".join(line for line in lines if line.strip())
        elif hasattr(shape, "shapes") and depth < DEEPEST_GROUP:
            yield from _shapes(shape.shapes, depth + 1)
