"""PDF to text: page by page, words broken at line ends joined, lines that every page repeats left out."""

import re
from collections import Counter
from collections.abc import Iterator

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.errors import DataError

EXTENSIONS = ("pdf",)
MAGIC = (b"%PDF-",)
DATE = re.compile(r"D:(\d{4})(\d{2})(\d{2})")
LINE_END_HYPHEN = re.compile(r"(?<![^\W\d_])([^\W\d_]+)([\u00ad\u0002\ufffe-])\n([^\W\d_]+)")
WORDS = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
DIGITS = re.compile(r"\d+")
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
    text = join_hyphenated("\n\n".join(without_furniture(pages)))
    return Document(title, text, "-".join(changed.groups()) if changed else None)


def _pages(document: object) -> Iterator[str]:
    for page in document:  # type: ignore[attr-defined]
        text = page.get_textpage()
        yield text.get_text_bounded().replace("\r\n", "\n")
        text.close()
        page.close()


def without_furniture(pages: list[str]) -> list[str]:
    """Pages without the lines at their edges that, but for digits, many pages share."""
    if len(pages) < FEWEST_PAGES:
        return pages
    split = [page.strip("\n").split("\n") for page in pages]
    seen = Counter(key for lines in split for key in {_key(line) for line in (*lines[:EDGE], *lines[-EDGE:])})
    furniture = {key for key, count in seen.items() if count >= max(3, REPEATED * len(pages))}
    return ["\n".join(_trimmed(lines, furniture)) for lines in split]


def _key(line: str) -> str:
    return DIGITS.sub("#", line.strip())


def _trimmed(lines: list[str], furniture: set[str]) -> list[str]:
    """Lines less those of `furniture` at either end, from the edge inwards."""
    first, last = 0, len(lines)
    while first < min(EDGE, last) and _key(lines[first]) in furniture:
        first += 1
    while last > max(first, len(lines) - EDGE) and _key(lines[last - 1]) in furniture:
        last -= 1
    return lines[first:last]


def join_hyphenated(text: str) -> str:
    """Join words broken at a line end; the hyphen stays where the text elsewhere writes the word with it."""
    known = {word.lower() for word in WORDS.findall(text)}

    def join(match: re.Match[str]) -> str:
        first, hyphen, second = match.groups()
        closed, open_ = first + second, f"{first}-{second}"
        if hyphen != "-" or closed.lower() in known:
            return closed
        # A capital after the hyphen (Pan-European) or a compound known from elsewhere is no broken word.
        return open_ if open_.lower() in known or not second[0].islower() else closed

    return LINE_END_HYPHEN.sub(join, text)
