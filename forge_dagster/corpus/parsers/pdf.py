"""PDF to text: page by page, words broken at line ends joined, repeated lines and page numbers of contents left out."""

import re
from collections import Counter
from collections.abc import Iterator

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.errors import DataError

EXTENSIONS = ("pdf",)
MAGIC = (b"%PDF-",)
DATE = re.compile(r"D:(\d{4})(\d{2})(\d{2})")
LINE_END_HYPHEN = re.compile(r"(?<![^\W\d_])([^\W\d_]+)([\u00ad\u0002\ufffe]\n?|-\n)([^\W\d_]+)")
LEADER = re.compile(r"[ \t]*(?:\.[ \t]*){5,}(?:\d{1,4}|[ivxlc]{1,7})?[ \t]*$", re.MULTILINE)  # of a table of contents
WORDS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
DIGITS = re.compile(r"\d+")
LETTER = re.compile(r"[^\W\d_]")
ENDS = 2  # words that a running head begins or ends with on every page: CHAPTER 5.
LONGEST_HEAD = 14  # words
EDGE = 2  # lines at the top and bottom of a page where running heads and page numbers stand
REPEATED = 0.3  # share of pages from which a line at the edge is furniture; heads change with the chapter
MOST_PAGES = 20_000
FEWEST_PAGES = 4  # below this nothing counts as repeated


def parse(data: bytes) -> Document:
    """Title, text and date of the last change of a PDF. Raises DataError if it is damaged, encrypted or endless."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(data)
        try:
            title = document.get_metadata_value("Title").strip()
            if len(document) > MOST_PAGES:
                raise DataError(f"{len(document):,} pages", rule=f"at most {MOST_PAGES:,} in one document")
            changed = DATE.match(document.get_metadata_value("ModDate") or document.get_metadata_value("CreationDate"))
            pages = list(_pages(document))
        finally:
            document.close()
    except pypdfium2.PdfiumError as error:
        raise DataError(f"not a readable PDF: {error}", rule="an intact, unencrypted PDF") from error
    text = LEADER.sub("", join_hyphenated("\n\n".join(without_furniture(pages))))
    return Document(title, text, "-".join(changed.groups()) if changed else None)


def _pages(document: object) -> Iterator[str]:
    for page in document:  # type: ignore[attr-defined]
        text = page.get_textpage()
        yield text.get_text_bounded().replace("\r\n", "\n")
        text.close()
        page.close()


def without_furniture(pages: list[str]) -> list[str]:
    """Pages without the lines at their edges that, but for digits, many pages share, wholly or in how they begin or
    end, or that a neighbouring page shares: heads that change with the chapter or the section."""
    if len(pages) < FEWEST_PAGES:
        return pages
    split = [page.strip("\n").split("\n") for page in pages]
    keys = [
        {" ".join(_masked(line)) for line in (*lines[:EDGE], *lines[-EDGE:])} | _partly(lines[0]) | _partly(lines[-1])
        for lines in split
    ]
    seen = Counter(key for page in keys for key in page)
    often = {key for key, count in seen.items() if count >= max(3, REPEATED * len(pages))}
    trimmed = []
    for number, lines in enumerate(split):
        near = {key for other in split[max(0, number - 1) : number + 2] if other is not lines for key in _heads(other)}
        trimmed.append("\n".join(_trimmed(lines, often, near)))
    return trimmed


def _masked(line: str) -> list[str]:
    return DIGITS.sub("#", line.strip()).split()


def _partly(line: str) -> set[str]:
    """How a short line begins and ends, without its numbers, where that says something."""
    words = _masked(line)
    if not ENDS < len(words) <= LONGEST_HEAD:
        return set()
    ends = (f"{' '.join(words[:ENDS])} ...", f"... {' '.join(words[-ENDS:])}")
    return {end for end in ends if LETTER.search(end)}


def _heads(lines: list[str]) -> set[str]:
    """The outermost lines of a page that are short enough for a running head and say something."""
    ends = (" ".join(_masked(line)) for line in (lines[0], lines[-1]))
    return {line for line in ends if LETTER.search(line) and len(line.split()) <= LONGEST_HEAD}


def _trimmed(lines: list[str], often: set[str], near: set[str]) -> list[str]:
    """Lines less those of furniture at either end, from the edge inwards."""

    def is_one(line: str, at_end: bool) -> bool:
        whole = " ".join(_masked(line))
        return whole in often or (at_end and (whole in near or not _partly(line).isdisjoint(often)))

    first, last = 0, len(lines)
    while first < min(EDGE, last) and is_one(lines[first], first == 0):
        first += 1
    while last > max(first, len(lines) - EDGE) and is_one(lines[last - 1], last == len(lines)):
        last -= 1
    return lines[first:last]


def join_hyphenated(text: str) -> str:
    """Join words broken at a line end; the hyphen stays where the text elsewhere writes the word with it."""
    known = {word.lower() for word in WORDS.findall(text)}

    def join(match: re.Match[str]) -> str:
        first, hyphen, second = match.groups()
        closed, open_ = first + second, f"{first}-{second}"
        if hyphen.strip() == "\u00ad" or closed.lower() in known:  # PDFium's own marks say hyphen, of either sort
            return closed
        # A capital after the hyphen (Pan-European) or a compound known from elsewhere is no broken word.
        return open_ if open_.lower() in known or not second[0].islower() else closed

    return LINE_END_HYPHEN.sub(join, text)
