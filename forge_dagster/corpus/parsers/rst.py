"""reStructuredText: the prose, without the machinery of directives, roles and targets."""

import re

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.parsers.plain import stated_date
from forge_dagster.corpus.text import decode

EXTENSIONS = ("rst", "rest")
ROLE = re.compile(r":[\w.:+-]{1,40}:`([^`<]{1,200}?)(?:\s*<[^>`]{1,200}>)?`")
LINK = re.compile(r"`([^`<]{1,200}?)\s*<[^>`]{1,300}>`_{1,2}")
TARGET = re.compile(r"^\s*\.\. _[^\n]*:[^\n]*$", re.MULTILINE)
OPTION = re.compile(r"^\s+:[\w-]+:[^\n]*$", re.MULTILINE)
TOCTREE = re.compile(
    r"^\.\. (?:toctree|index|contents|only|raw|tabularcolumns|highlight)::[^\n]*\n(?:[ \t]+[^\n]*\n|\n(?=[ \t]))*",
    re.MULTILINE,
)
DIRECTIVE = re.compile(r"^([ \t]*)\.\. ([\w-]+)::[ \t]*([^\n]*)$", re.MULTILINE)
COMMENT = re.compile(r"^\.\. (?![\w-]+::|\[|_)[^\n]*\n(?:[ \t]+[^\n]*\n)*", re.MULTILINE)
HEADING = re.compile(r"^(?:([=\-~^\"'`#*+.:_])\1{2,}\n)?([^\s][^\n]{0,200})\n([=\-~^\"'`#*+.:_])\3{2,}$", re.MULTILINE)


def parse(data: bytes) -> Document:
    """Title and text, headings with their Markdown marks."""
    source = decode(data).replace("\r\n", "\n")
    text = TOCTREE.sub("", source)
    text = COMMENT.sub("", TARGET.sub("", OPTION.sub("", text)))
    text = DIRECTIVE.sub(lambda found: f"{found[1]}{found[3]}".rstrip(), text)
    text = LINK.sub(r"\1", ROLE.sub(r"\1", text))
    levels: list[str] = []

    def heading(found: re.Match[str]) -> str:
        style = f"{found[1] or ''}{found[3]}"
        if style not in levels:
            levels.append(style)
        return f"{'#' * min(6, levels.index(style) + 1)} {found[2].strip()}"

    text = HEADING.sub(heading, text)
    title = next((line.lstrip("# ") for line in text.splitlines() if line.startswith("# ")), "")
    return Document(title, text.replace("``", "`"), stated_date(source))
