"""Bad office documents and e-books: no macro, template or entity has any effect; bombs are refused by their listing."""

import io
import zipfile
from collections.abc import Callable, Mapping

from hostile import LEAK, PASSWD, SAID, Inputs, packed

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
CELLS = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
DOCTYPE = f"<!DOCTYPE x [<!ENTITY e SYSTEM '{PASSWD}'>]>"
LAUGHS = "<!DOCTYPE x [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + n)} '{f'&{chr(97 + n)};' * 10}'>" for n in range(9)
)
COMMENT = f"<!-- {'x' * 10_000} -->"


def office(kind: str) -> bytes:
    """A file as its program writes it, with SAID in it."""
    held = io.BytesIO()
    if kind == "docx":
        from docx import Document

        word = Document()
        word.add_paragraph(SAID)
        word.save(held)
    elif kind == "pptx":
        from pptx import Presentation

        show = Presentation()
        slide = show.slides.add_slide(show.slide_layouts[1])
        slide.shapes.title.text, slide.placeholders[1].text = "Rules", SAID
        show.save(held)
    else:
        from openpyxl import Workbook

        book = Workbook()
        book.active.append(["Rule", SAID])
        book.save(held)
    return held.getvalue()


def changed(kind: str, replaced: Mapping[str, tuple[str, str]] = {}, **more: bytes | str) -> bytes:
    """The same file with some text of its parts replaced, and with more parts."""
    with zipfile.ZipFile(io.BytesIO(office(kind))) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    for name, (old, new) in replaced.items():
        assert old.encode() in parts[name]
        parts[name] = parts[name].replace(old.encode(), new.encode(), 1)
    return packed(*(parts | more).items())


def before_root(kind: str, part: str, text: str) -> bytes:
    """A file one of whose parts has `text` before its root element."""
    with zipfile.ZipFile(io.BytesIO(office(kind))) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    head, _, rest = parts[part].partition(b"?>")
    return packed(*(parts | {part: head + b"?>" + text.encode() + rest}).items())


def sheet(rows: str, dimension: str = "A1:B2") -> bytes:
    """A workbook with this sheet data."""
    body = f'<worksheet {CELLS}><dimension ref="{dimension}"/><sheetData>{rows}</sheetData></worksheet>'
    return changed("xlsx", **{"xl/worksheets/sheet1.xml": body})


def row(number: int, cells: str = "") -> str:
    return f'<row r="{number}">{cells}</row>'


def cell(place: str, text: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>'


def linked(kind: str, target: str) -> tuple[str, str]:
    """A relation to something outside, to be put before the end of a part's relations."""
    end = "</Relationships>"
    return end, f'<Relationship Id="x1" Type="{OFFICE}/{kind}" Target="{target}" TargetMode="External"/>{end}'


def book(chapter: str, opf: str = "") -> bytes:
    container = "urn:oasis:names:tc:opendocument:xmlns:container"
    package = (
        f'{opf}<package xmlns="http://www.idpf.org/2007/opf"><manifest><item id="c" href="{chapter}" '
        'media-type="application/xhtml+xml"/></manifest><spine><itemref idref="c"/></spine></package>'
    )
    return packed(
        ("META-INF/container.xml", f'<container xmlns="{container}"><rootfile full-path="b.opf"/></container>'),
        ("b.opf", package),
        ("c.xhtml", f"<html><body><p>{SAID}</p><img src='{LEAK}'/></body></html>"),
    )


WORD: Inputs = {
    "macro.docm": (lambda: changed("docx", **{"word/vbaProject.bin": b"evil"}), "kept"),
    "template.docx": (
        lambda: changed("docx", {"word/_rels/document.xml.rels": linked("attachedTemplate", LEAK)}),
        "kept",
    ),
    "picture.docx": (lambda: changed("docx", {"word/_rels/document.xml.rels": linked("image", PASSWD)}), "kept"),
    "entities.docx": (lambda: before_root("docx", "word/document.xml", DOCTYPE), "quarantined:unparseable"),
    "entities-late.docx": (
        lambda: before_root("docx", "word/document.xml", COMMENT + DOCTYPE),
        "quarantined:unparseable",
    ),
    "laughs.docx": (lambda: before_root("docx", "word/styles.xml", f"{LAUGHS}]>"), "quarantined:unparseable"),
    "no-word.docx": (packed(("word/vbaProject.bin", b"evil")), "quarantined:unparseable"),
    "encrypted.docx": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(3000), "quarantined:not-what-it-says"),
    "bomb.docx": (lambda: packed(("word/document.xml", bytes(400 << 20))), "quarantined:unparseable"),
    "many-parts.docx": (lambda: packed(*((f"{n}.xml", b"") for n in range(10_001))), "quarantined:unparseable"),
}
SHEETS: Inputs = {
    "empty-rows.xlsx": (
        lambda: sheet(row(1, cell("A1", SAID)) + "".join(row(n) for n in range(2, 1_000_000))),
        "kept",
    ),
    "corners.xlsx": (
        lambda: sheet(row(1, cell("A1", SAID)) + row(1048576, cell("XFD1048576", "x"))),
        "quarantined:parser-crashed",
    ),
    "dimension.xlsx": (lambda: sheet(row(1, cell("A1", SAID)), "A1:XFD1048576"), "kept"),
    "many-cells.xlsx": (
        lambda: sheet("".join(row(n, cell(f"A{n}", "x")) for n in range(1, 300_000))),
        "quarantined:unparseable",
    ),
    "laughs.xlsx": (
        lambda: before_root("xlsx", "xl/worksheets/sheet1.xml", f"{LAUGHS}]>"),
        "kept",
    ),
    "link.xlsx": (
        lambda: changed("xlsx", {"xl/_rels/workbook.xml.rels": linked("externalLink", LEAK)}),
        "kept",
    ),
}
SLIDES: Inputs = {
    "slides.pptx": (lambda: office("pptx"), "kept"),
    "entities.pptx": (lambda: before_root("pptx", "ppt/slides/slide1.xml", DOCTYPE), "quarantined:unparseable"),
    "movie.pptx": (lambda: changed("pptx", {"ppt/slides/_rels/slide1.xml.rels": linked("video", LEAK)}), "kept"),
    "no-slides.pptx": (lambda: packed(("ppt/presentation.xml", "<x/>")), "quarantined:unparseable"),
}
BOOKS: Inputs = {
    "book.epub": (lambda: book("c.xhtml"), "kept"),
    "outside.epub": (lambda: book("../../../../etc/passwd"), "quarantined:unparseable"),
    "entities.epub": (lambda: book("c.xhtml", DOCTYPE), "quarantined:unparseable"),
    "truncated.epub": (packed(("mimetype", b"application/epub+zip"))[:-30], "quarantined:unparseable"),
}
CATALOGUE: Inputs = {**WORD, **SHEETS, **SLIDES, **BOOKS}


def test_every_bad_office_document_has_its_disposition(become: Callable):
    outcome = become(CATALOGUE)
    assert outcome.wrong(CATALOGUE) == {}
    for name, text in outcome.texts.items():
        assert SAID.strip() in text, name
        assert "root:" not in text
        assert "haha" not in text
        assert "evil" not in text
