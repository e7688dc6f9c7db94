"""Plain text and Markdown: as they are; the title is the first line that says something."""

import re

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.text import decode

EXTENSIONS = ("txt", "text", "md", "markdown")
LONGEST_TITLE_LINE = 200  # characters
FRONT_MATTER = re.compile(r"\A---\n(.*?)\n---\n", re.DOTALL)
DATED = re.compile(
    r"^(?:date|updated|last[- ]modified|last[- ]updated|modified|effective)\s*:\s*[\"']?(\d{4}-\d{2}-\d{2})",
    re.IGNORECASE | re.MULTILINE,
)
HEAD = 2000  # characters in which a document states its date


def parse(data: bytes) -> Document:
    """Decode the text; front matter stays, for it is part of what the document says."""
    text = decode(data)
    front = FRONT_MATTER.match(text)
    body = text[front.end() :] if front else text
    marked = (line.strip(" #=*-\t") for line in body.splitlines())
    title = next((line for line in marked if line), "")[:LONGEST_TITLE_LINE]
    return Document(title, text, stated_date(text))


def stated_date(text: str) -> str | None:
    """Date that a line such as `Last updated: 2024-05-01` at the head of a text states."""
    found = DATED.search(text[:HEAD])
    return found[1] if found else None
