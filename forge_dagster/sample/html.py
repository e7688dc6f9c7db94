"""HTML from a document: a page as an intranet serves it, with a footer that is no part of the text."""

from collections.abc import Iterable
from html import escape

from forge_dagster.sample.blocks import Block, Code, Document, Heading, Items, Pairs, Paragraph, Questions, Table


def render(document: Document) -> bytes:
    """Return the document as an HTML 5 page, UTF-8."""
    lines = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        f'<head><meta charset="utf-8"><title>{escape(document.title)}</title></head>',
        "<body>",
        f"<h1>{escape(document.title)}</h1>",
        *_lines("ul", (f"<li>{escape(label)}: {escape(value)}</li>" for label, value in document.particulars)),
        *(line for block in document.blocks for line in _block(block)),
        "<footer>Intranet. Internal use only.</footer>",
        "</body>",
        "</html>",
    ]
    return ("\n".join(lines) + "\n").encode()


def _block(block: Block) -> list[str]:
    match block:
        case Heading(text):
            return [f"<h2>{escape(text)}</h2>"]
        case Paragraph(text):
            return [f"<p>{escape(text)}</p>"]
        case Items(items, numbered):
            return _lines("ol" if numbered else "ul", (f"<li>{escape(item)}</li>" for item in items))
        case Pairs(pairs):
            return _lines("ul", (f"<li>{escape(label)}: {escape(value)}</li>" for label, value in pairs))
        case Table(header, rows):
            return _lines("table", [_row("th", header), *(_row("td", row) for row in rows)])
        case Code(lines):
            return [f"<pre>{escape(chr(10).join(lines))}</pre>"]
        case Questions(pairs):
            return [f"<p>Q: {escape(question)}<br>A: {escape(answer)}</p>" for question, answer in pairs]


def _lines(tag: str, inner: Iterable[str]) -> list[str]:
    return [f"<{tag}>", *inner, f"</{tag}>"]


def _row(tag: str, cells: Iterable[str]) -> str:
    return f"<tr>{''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells)}</tr>"
