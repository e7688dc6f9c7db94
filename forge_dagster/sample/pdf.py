"""PDF from a document: A4 pages of Helvetica, written byte by byte so that equal documents are equal files.

PDF 1.4 (Adobe 2001): one of the 14 standard fonts needs no embedding, and streams stay uncompressed because
compressors differ between builds of zlib.
"""

import textwrap

from forge_dagster.sample.blocks import Document
from forge_dagster.sample.plain import block_text

COLUMNS = 88
"""Characters of a line; at 10 points Helvetica averages 5 points a character on 483 points between the margins."""
LINES = 54
"""Lines of a page."""
PAGE_WIDTH, PAGE_HEIGHT, MARGIN, LEADING, SIZE = 595, 842, 56, 13, 10
"""In points."""
GLUE = "\u00a0"
ENCODING = "cp1252"


def render(document: Document) -> bytes:
    """Return the document as PDF. Raises UnicodeEncodeError for text outside Windows-1252."""
    lines = _lines(document)
    pages = [lines[start : start + LINES] for start in range(0, len(lines), LINES)]
    first = 5
    kids = " ".join(f"{first + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        b"<< /Title " + _string(document.title) + b" >>",
    ]
    for number, page in enumerate(pages):
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {PAGE_WIDTH} {PAGE_HEIGHT}] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {first + 2 * number + 1} 0 R >>".encode()
        )
        content = _content(page)
        objects.append(f"<< /Length {len(content)} >>\nstream\n".encode() + content + b"\nendstream")
    return _file(objects)


def _lines(document: Document) -> list[str]:
    particulars = [f"{label}: {value}" for label, value in document.particulars]
    parts = [document.title, "\n".join(particulars), *(block_text(block) for block in document.blocks)]
    text = "\n\n".join(parts)
    for phrase in sorted(document.unbroken, key=lambda name: (-len(name), name)):
        text = text.replace(phrase, phrase.replace(" ", GLUE))
    wrapper = textwrap.TextWrapper(COLUMNS, break_on_hyphens=False, break_long_words=False)
    wrapped = (line for paragraph in text.split("\n") for line in wrapper.wrap(paragraph) or [""])
    return [line.replace(GLUE, " ") for line in wrapped]


def _content(lines: list[str]) -> bytes:
    head = f"BT /F1 {SIZE} Tf {LEADING} TL {MARGIN} {PAGE_HEIGHT - MARGIN - SIZE} Td\n".encode()
    return head + b"".join(_string(line) + b" Tj T*\n" if line else b"T*\n" for line in lines) + b"ET"


def _string(text: str) -> bytes:
    data = text.encode(ENCODING)
    for special in (b"\\", b"(", b")"):
        data = data.replace(special, b"\\" + special)
    return b"(" + data + b")"


def _file(objects: list[bytes]) -> bytes:
    data = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(data))
        data += f"{number} 0 obj\n".encode() + body + b"\nendobj\n"
    table = "".join(f"{offset:010d} 00000 n \n" for offset in offsets)
    trailer = f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 4 0 R >>\nstartxref\n{len(data)}\n%%EOF\n"
    return data + f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}{trailer}".encode()
