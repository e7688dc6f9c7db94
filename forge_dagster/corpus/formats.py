"""One parser a format: bytes to (title, text). They run in a worker process with limits."""

import re
from collections.abc import Callable
from pathlib import PurePosixPath

from forge_dagster.corpus.text import decode
from forge_dagster.errors import DataError

Parsed = tuple[str, str]
FURNITURE = (
    "script,style,noscript,template,nav,header,footer,aside,form,iframe,svg,button,"
    "[role=navigation],[role=search],[aria-hidden=true],.headerlink,.sphinxsidebar,.related,.navheader,.navfooter,"
    ".breadcrumbs,.toctree-wrapper,.footer"
)
BLOCKS = frozenset({
    "p", "div", "section", "article", "main", "li", "dt", "dd", "tr", "table", "thead", "tbody", "caption",
    "ul", "ol", "dl", "pre", "blockquote", "figure", "figcaption", "hr", "br", "address", "details", "summary",
    "h1", "h2", "h3", "h4", "h5", "h6",
})  # fmt: skip
HEADING = re.compile(r"h([1-6])")
HYPHENATED = re.compile(r"(\w)[\u00ad\u0002-]\n(?=[a-z])")
SPACES = re.compile(r"[ \t\u00a0\r\n]+")
DEEPEST = 400  # nested elements beyond which a page is hostile, not written


def parse_text(data: bytes) -> Parsed:
    """Plain text; the title is the first line that says something."""
    text = decode(data)
    return next((line.strip(" #=*-\t") for line in text.splitlines() if line.strip(" #=*-\t")), "")[:200], text


def parse_html(data: bytes) -> Parsed:
    """HTML without its furniture; headings and list items keep their Markdown marks."""
    from selectolax.lexbor import LexborHTMLParser

    tree = LexborHTMLParser(decode(data))
    title = tree.css_first("title")
    name = SPACES.sub(" ", title.text()).strip() if title else ""
    for node in tree.css(FURNITURE):
        node.decompose()
    body = tree.css_first("main, [role=main], article") or tree.body
    if body is None:
        return name, ""
    pieces: list[str] = []
    _render(body, pieces, preformatted=False, depth=0)
    lines = (line.strip() if not line.startswith("    ") else line.rstrip() for line in "".join(pieces).split("\n"))
    return name, re.sub(r"\n{3,}", "\n\n", "\n".join(lines))


def _render(node: object, pieces: list[str], *, preformatted: bool, depth: int) -> None:
    if depth > DEEPEST:
        raise DataError(f"elements nested deeper than {DEEPEST}", rule="a written page is nested less")
    for child in node.iter(include_text=True):  # type: ignore[attr-defined]
        tag = child.tag
        if tag == "-text":
            text = child.text_content or ""
            pieces.append(text if preformatted else SPACES.sub(" ", text))
            continue
        heading = HEADING.fullmatch(tag or "")
        if tag in BLOCKS:
            pieces.append("\n\n" if heading or tag in ("p", "pre", "table", "ul", "ol", "dl") else "\n")
        if heading:
            pieces.append("#" * int(heading.group(1)) + " ")
        elif tag == "li":
            pieces.append("- ")
        elif tag in ("td", "th"):
            pieces.append(" | " if pieces and not pieces[-1].endswith("\n") else "")
        _render(child, pieces, preformatted=preformatted or tag == "pre", depth=depth + 1)
        if tag in BLOCKS:
            pieces.append("\n\n" if heading or tag in ("p", "pre", "table") else "\n")


def parse_pdf(data: bytes) -> Parsed:
    """PDF text page by page; words broken at a line end are joined."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        raise DataError(f"not a readable PDF: {error}", rule="an intact, unencrypted PDF") from error
    try:
        title = document.get_metadata_value("Title").strip()
        pages = []
        for page in document:
            textpage = page.get_textpage()
            pages.append(textpage.get_text_bounded())
            textpage.close()
            page.close()
    finally:
        document.close()
    text = "\n\n".join(pages).replace("\r\n", "\n")
    return title, HYPHENATED.sub(r"\1", text)


PARSERS: dict[str, Callable[[bytes], Parsed]] = {
    "txt": parse_text,
    "md": parse_text,
    "html": parse_html,
    "pdf": parse_pdf,
}
EXTENSIONS = {
    "txt": "txt", "text": "txt", "md": "md", "markdown": "md",
    "html": "html", "htm": "html", "xhtml": "html", "pdf": "pdf",
}  # fmt: skip


def format_of(path: str) -> str | None:
    """Format by extension; None if no parser takes it."""
    return EXTENSIONS.get(PurePosixPath(path).suffix.lower().lstrip("."))


def extension_of(path: str) -> str:
    """Extension for a disposition's reason; `none` if there is none."""
    return PurePosixPath(path).suffix.lower().lstrip(".") or "none"


def sniffed_wrong(data: bytes, format_: str) -> bool:
    """Whether the bytes are plainly of another format than the name says."""
    if format_ == "pdf":
        return b"%PDF-" not in data[:1024]
    return data.startswith((b"%PDF-", b"PK\x03\x04", b"\x7fELF", b"\x89PNG", b"\xff\xd8\xff", b"\x1f\x8b", b"GIF8"))
