"""Which parser takes a document: by its extension, checked against its first bytes."""

from collections.abc import Callable
from pathlib import PurePosixPath

from forge_dagster.corpus.html import parse_html
from forge_dagster.corpus.pdf import parse_pdf
from forge_dagster.corpus.text import decode

Parsed = tuple[str, str]
"""Title and text."""

EXTENSIONS = {
    "txt": "txt", "text": "txt", "md": "md", "markdown": "md",
    "html": "html", "htm": "html", "xhtml": "html", "pdf": "pdf",
}  # fmt: skip
OTHERS = (b"%PDF-", b"PK\x03\x04", b"\x7fELF", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b", b"GIF8", b"!<arch>", b"BZh")
PDF_MARK_WITHIN = 1024  # bytes; readers accept what comes before the mark
LONGEST_TITLE_LINE = 200  # characters


def parse_text(data: bytes) -> Parsed:
    """Plain text; the title is the first line that says something."""
    text = decode(data)
    marked = (line.strip(" #=*-\t") for line in text.splitlines())
    return next((line for line in marked if line), "")[:LONGEST_TITLE_LINE], text


PARSERS: dict[str, Callable[[bytes], Parsed]] = {
    "txt": parse_text,
    "md": parse_text,
    "html": parse_html,
    "pdf": parse_pdf,
}
"""One parser a format. They run in a worker process with limits; they raise DataError for what they refuse."""


def format_of(path: str) -> str | None:
    """Format by extension; None if no parser takes it."""
    return EXTENSIONS.get(PurePosixPath(path).suffix.lower().lstrip("."))


def extension_of(path: str) -> str:
    """Extension for a disposition's reason; `none` if there is none."""
    return PurePosixPath(path).suffix.lower().lstrip(".") or "none"


def sniffed_wrong(data: bytes, format_: str) -> bool:
    """Whether the bytes are plainly of another format than the name says."""
    if format_ == "pdf":
        return b"%PDF-" not in data[:PDF_MARK_WITHIN]
    return data.startswith(OTHERS)
