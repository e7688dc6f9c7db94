"""HTML to text: furniture and hidden parts left out, headings, list items and tables with their Markdown marks."""

import re
from collections import Counter
from typing import Any

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.text import decode
from forge_dagster.errors import DataError

FURNITURE = (
    "script,style,noscript,template,nav,form,iframe,object,svg,button,select,"
    "aside:not(.footnote):not(.footnote-list),body > header,body > footer,main footer.page-footer,"
    "[role=navigation],[role=search],[aria-hidden=true],[hidden],"
    ".headerlink,.sphinxsidebar,.related,.navheader,.navfooter,.docnav,.rst-footer-buttons,.breadcrumbs,.toctree-wrapper,"
    "div.footer,div.header"
)
BLOCKS = frozenset({
    "p", "div", "section", "article", "main", "li", "dt", "dd", "tr", "table", "thead", "tbody", "caption",
    "ul", "ol", "dl", "pre", "blockquote", "figure", "figcaption", "hr", "address", "details", "summary", "header",
    "footer", "aside", "body", "h1", "h2", "h3", "h4", "h5", "h6",
})  # fmt: skip
SPACED = frozenset({"p", "pre", "table", "ul", "ol", "dl", "h1", "h2", "h3", "h4", "h5", "h6"})
HEADING = re.compile(r"h([1-6])")
SPACES = re.compile(r"[ \t\u00a0\r\n\f]+")
BULLET = re.compile(r"- |\d{1,9}\. ")
EXTENSIONS = ("html", "htm", "xhtml")
DATES = (
    "meta[property='article:modified_time'],meta[name='last-modified'],meta[name='dcterms.modified'],meta[name=date],"
    "meta[property='article:published_time'],time[datetime]"
)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
DECLARED = re.compile(rb"""charset\s*=\s*["']?\s*([\w:.-]+)""", re.IGNORECASE)
DECLARED_WITHIN = 2048  # bytes; HTML asks for 1024
LONGEST_CELL = 200  # characters that a row of cells can be read with
NO_CELL = "table,ul,ol,dl,pre,h1,h2,h3,h4,h5,h6"
DEEPEST = 300  # nested elements beyond which a page is hostile, not written
MOST_OPEN = 10_000  # tags that nothing closes, from which a page is not even parsed; real ones forget a few
TAG = re.compile(
    r"<!--.*?(?:-->|\Z)|<(?:script|style)\b.*?(?:</(?:script|style)|\Z)|<(/?)([a-z][a-z0-9]*)",
    re.DOTALL | re.IGNORECASE,
)
CLOSED_BY_THE_NEXT = frozenset({
    "", "p", "li", "dt", "dd", "tr", "td", "th", "thead", "tbody", "tfoot", "colgroup", "caption", "option", "a",
    "html", "head", "body", "br", "hr", "img", "input", "link", "meta", "area", "base", "col", "embed", "source",
    "track", "wbr", "param", "rp", "rt",
})  # fmt: skip
HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|font-size\s*:\s*0(?![.\d]*[1-9])", re.IGNORECASE)


def parse(data: bytes) -> Document:
    """Title, text and stated date of a page. Raises DataError if it is no text or is nested deeper than DEEPEST."""
    from selectolax.lexbor import LexborHTMLParser

    declared = DECLARED.search(data[:DECLARED_WITHIN])
    text = decode(data, declared[1].decode("ascii") if declared else None)
    _refuse_abyss(text)
    tree = LexborHTMLParser(text)
    title = tree.css_first("head > title")
    name = SPACES.sub(" ", title.text()).strip() if title else ""
    time = _stated_date(tree)
    for node in (*tree.css(FURNITURE), *(node for node in tree.css("[style]") if _is_hidden(node))):
        node.decompose()
    articles = tree.css("article")
    body = tree.css_first("main, [role=main]") or (articles[0] if len(articles) == 1 else tree.body)
    if body is None:
        return Document(name, "")
    page = _Page()
    page.render(body, preformatted=False, depth=0)
    return Document(name, "".join(page.pieces), time)


def _refuse_abyss(text: str) -> None:
    """Raise DataError if so many elements are open at once that the parser, quadratic in them, would take minutes."""
    if text.count("<") < MOST_OPEN:
        return
    opened: Counter[str] = Counter()
    count = 0
    for closing, name in TAG.findall(text):
        tag = name.lower()
        if tag in CLOSED_BY_THE_NEXT:
            continue
        step = 1 if not closing else -1 if opened[tag] else 0
        opened[tag] += step
        count += step
        if count > MOST_OPEN:
            raise DataError(f"elements nested deeper than {DEEPEST}", rule="a written page is nested less")


def _is_hidden(node: Any) -> bool:
    return node.tag != "body" and HIDDEN.search(node.attributes.get("style") or "") is not None


def _stated_date(tree: Any) -> str | None:
    """Date of the last change that the page's metadata states."""
    for node in tree.css(DATES):
        if found := DATE.match(node.attributes.get("content") or node.attributes.get("datetime") or ""):
            return found[0]
    return None


class _Page:
    """The text so far; white space collapses across pieces as a browser would show it."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._in_cell = False
        self._numbers: list[int | None] = []  # next number of each list that is open; none in one of bullets

    def _ends_line(self) -> bool:
        return not self.pieces or self.pieces[-1].endswith("\n")

    def _text(self, text: str, preformatted: bool) -> None:
        if not preformatted:
            text = SPACES.sub(" ", text)
            if text.startswith(" ") and (self._ends_line() or self.pieces[-1].endswith(" ")):
                text = text[1:]
        if text:
            self.pieces.append(text)

    def _line(self, blank: bool) -> None:
        """Begin a new line, after an empty one if `blank`; surplus empty lines are removed later."""
        if self._in_cell:
            self._text(" ", preformatted=False)
            return
        if not self._ends_line():
            self.pieces.append("\n")
        if blank:
            self.pieces.append("\n")

    def _bullet(self) -> str:
        """What a list item begins with."""
        number = self._numbers[-1] if self._numbers else None
        if number is None:
            return "- "
        self._numbers[-1] = number + 1
        return f"{number}. "

    def render(self, node: Any, *, preformatted: bool, depth: int) -> None:
        """Append the text of a node's children."""
        if depth > DEEPEST:
            raise DataError(f"elements nested deeper than {DEEPEST}", rule="a written page is nested less")
        for child in node.iter(include_text=True):
            tag = child.tag or ""
            if tag == "-text":
                self._text(child.text_content or "", preformatted)
            elif tag == "br":
                self.pieces.append(" " if self._in_cell else "\n")
            elif not tag.startswith(("-", "!")):
                self._element(child, tag, preformatted=preformatted or tag == "pre", depth=depth)

    def _element(self, node: Any, tag: str, *, preformatted: bool, depth: int) -> None:
        block, spaced = tag in BLOCKS, tag in SPACED
        # A paragraph that begins a list item stands on the item's own line.
        if block and not (self.pieces and BULLET.fullmatch(self.pieces[-1])):
            self._line(blank=spaced)
        if heading := HEADING.fullmatch(tag):
            self.pieces.append("#" * int(heading[1]) + " ")
        elif tag == "li":
            self.pieces.append(self._bullet())
        elif tag in ("td", "th") and not self._ends_line():
            self.pieces.append("| " if self.pieces[-1].endswith(" ") else " | ")
        elif tag in ("ol", "ul"):
            self._numbers.append(_first_number(node) if tag == "ol" else None)
        within = self._in_cell
        self._in_cell = within or (tag in ("td", "th") and _is_cell(node))
        self.render(node, preformatted=preformatted, depth=depth + 1)
        self._in_cell = within
        if tag in ("ol", "ul"):
            self._numbers.pop()
        if tag == "tr" and _is_table_head(node):
            self._line(blank=False)
            self.pieces.append(" | ".join(["---"] * len(node.css("th"))))
        if block:
            self._line(blank=spaced)


def _first_number(ordered: Any) -> int:
    """What a numbered list begins with."""
    start = ordered.attributes.get("start") or "1"
    return int(start) if start.isdecimal() and len(start) < 9 else 1


def _is_cell(node: Any) -> bool:
    """Whether a cell is one line of a row; a table that lays out a page has cells with more in them."""
    return len(node.text()) <= LONGEST_CELL and node.css_first(NO_CELL) is None


def _is_table_head(row: Any) -> bool:
    """A row of two or more header cells and nothing else."""
    cells = [child.tag for child in row.iter()]
    return len(cells) > 1 and set(cells) == {"th"}
