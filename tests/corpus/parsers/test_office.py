"""Office documents give their text in reading order, tables as rows, and what they state of themselves."""

# ruff: noqa: E501 - markup is easier to read as it is written

import io
import zipfile

import pytest

from forge_dagster.corpus.parsers import docx, epub, odt, pptx, spreadsheet
from forge_dagster.corpus.parsers.document import Document
from forge_dagster.errors import DataError

CORE = """<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
 xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:dcterms="http://purl.org/dc/terms/">
<dc:title>Pump rules</dc:title><dcterms:modified>2024-03-14T10:00:00Z</dcterms:modified></cp:coreProperties>"""
W = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def package(**parts: str | bytes) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)
    return held.getvalue()


def relations(*targets: tuple[str, str]) -> str:
    rows = "".join(
        f'<Relationship Id="r{number}" Type="{REL}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(targets, 1)
    )
    return f'<Relationships xmlns="{PACKAGE}/relationships">{rows}</Relationships>'


def content_types(**parts: str) -> str:
    rows = "".join(f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, kind in parts.items())
    default = '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    return f'<Types xmlns="{PACKAGE}/content-types">{default}<Default Extension="xml" ContentType="application/xml"/>{rows}</Types>'


def word(body: str, **more: str) -> bytes:
    kind = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
    parts = {
        "[Content_Types].xml": content_types(**{"word/document.xml": kind}),
        "_rels/.rels": relations(("officeDocument", "word/document.xml")),
        "word/document.xml": f"<w:document {W}><w:body>{body}</w:body></w:document>",
        "docProps/core.xml": CORE,
    }
    return package(**{**parts, **more})


def paragraph(text: str, style: str = "") -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    return f"<w:p>{properties}<w:r><w:t>{text}</w:t></w:r></w:p>"


STYLES = f"""<w:styles {W}><w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style></w:styles>"""
TABLE = "<w:tbl>" + "".join(
    "<w:tr>" + "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) + "</w:tr>"
    for row in (("Part", "Weight"), ("Valve", "3 kg"))
) + "</w:tbl>"  # fmt: skip


def test_docx_gives_headings_paragraphs_tables_and_what_it_states():
    relation = {"word/_rels/document.xml.rels": relations(("styles", "styles.xml")), "word/styles.xml": STYLES}
    found = docx.parse(word(paragraph("Stores", "Heading1") + paragraph("Open at &lt;8&gt;.") + TABLE, **relation))
    assert (found.title, found.time) == ("Pump rules", "2024-03-14T10:00:00Z")
    lines = [line for line in found.text.split("\n") if line.strip()]
    assert lines[0] == "# Stores"
    assert "Open at <8>." in found.text
    assert "Valve | 3 kg" in [line.strip() for line in lines]


def test_pptx_gives_slides_tables_and_notes_in_order():
    from pptx import Presentation
    from pptx.util import Inches

    deck = Presentation()
    deck.core_properties.title = "Pump rules"
    for said in ("First slide", "Second slide"):
        slide = deck.slides.add_slide(deck.slide_layouts[5])
        slide.shapes.title.text = said
        slide.notes_slide.notes_text_frame.text = f"Notes of the {said.lower()}"
    cells = slide.shapes.add_table(2, 2, Inches(1), Inches(2), Inches(4), Inches(1)).table
    for row, values in enumerate((("Part", "Weight"), ("Valve", "3 kg"))):
        for column, value in enumerate(values):
            cells.cell(row, column).text = value
    held = io.BytesIO()
    deck.save(held)
    found = pptx.parse(held.getvalue())
    assert found.title == "Pump rules"
    order = ["First slide", "Notes of the first slide", "Second slide", "Valve | 3 kg"]
    assert sorted(order, key=found.text.index) == order


def test_xlsx_gives_every_sheet_as_rows():
    sheet = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    kinds = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    rows = '<row r="1"><c r="A1" t="inlineStr"><is><t>Part</t></is></c><c r="B1" t="inlineStr"><is><t>Weight</t></is></c></row>'
    rows += '<row r="2"><c r="A2" t="inlineStr"><is><t>Valve</t></is></c><c r="B2"><v>3.5</v></c></row>'
    data = package(
        **{
            "[Content_Types].xml": content_types(
                **{"xl/workbook.xml": f"{kinds}.sheet.main+xml", "xl/worksheets/sheet1.xml": f"{kinds}.worksheet+xml"}
            ),
            "_rels/.rels": relations(("officeDocument", "xl/workbook.xml")),
            "xl/workbook.xml": f'<workbook xmlns="{sheet}" xmlns:r="{REL}"><sheets><sheet name="Weights" sheetId="1" r:id="r1"/></sheets></workbook>',
            "xl/_rels/workbook.xml.rels": relations(("worksheet", "worksheets/sheet1.xml")),
            "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{sheet}"><sheetData>{rows}</sheetData></worksheet>',
        }
    )
    text = spreadsheet.parse(data).text
    assert "Weights" in text
    assert "Part | Weight" in text
    assert "Valve | 3.5" in text


def test_odt_gives_headings_paragraphs_and_lists():
    office = "urn:oasis:names:tc:opendocument:xmlns"
    names = f'xmlns:office="{office}:office:1.0" xmlns:text="{office}:text:1.0"'
    body = (
        '<text:h text:outline-level="2">Stores</text:h><text:p>Open<text:s text:c="2"/>at<text:line-break/>8.</text:p>'
    )
    body += "<text:list><text:list-item><text:p>Valve</text:p></text:list-item></text:list>"
    data = package(
        **{
            "mimetype": "application/vnd.oasis.opendocument.text",
            "content.xml": f"<office:document-content {names}><office:body><office:text>{body}</office:text></office:body></office:document-content>",
        }
    )
    text = odt.parse(data).text
    assert "## Stores" in text
    assert "Open  at\n8." in text
    assert "- Valve" in text


def test_epub_gives_chapters_in_the_order_of_its_spine():
    opf = "http://www.idpf.org/2007/opf"
    container = '<container xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile full-path="a/b.opf"/></rootfiles></container>'
    items = "".join(
        f'<item id="{name}" href="{name}.xhtml" media-type="application/xhtml+xml"/>' for name in ("one", "two")
    )
    spine = '<itemref idref="two"/><itemref idref="one"/>'
    metadata = '<metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>Handbook</dc:title></metadata>'
    page = '<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{0}</h1><p>Chapter {0} says what it says.</p></body></html>'
    data = package(
        **{
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": container,
            "a/b.opf": f'<package xmlns="{opf}">{metadata}<manifest>{items}</manifest><spine>{spine}</spine></package>',
            "a/one.xhtml": page.format("one"),
            "a/two.xhtml": page.format("two"),
        }
    )
    found = epub.parse(data)
    assert found.title == "Handbook"
    assert found.text.index("Chapter two") < found.text.index("Chapter one")


ENTITY = '<!DOCTYPE w [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
LAUGHS = "<!DOCTYPE w [<!ENTITY a 'ha'>" + "".join(
    f"<!ENTITY {chr(98 + level)} '{f'&{chr(97 + level)};' * 10}'>" for level in range(9)
) + "]>"  # fmt: skip


@pytest.mark.parametrize("declared", [ENTITY, LAUGHS])
@pytest.mark.parametrize("parser", [docx, pptx, odt, epub])
def test_entities_are_refused(declared: str, parser):
    hostile = f"{declared}<w:document {W}><w:body>{paragraph('&x;&j;')}</w:body></w:document>"
    names = ("word/document.xml", "ppt/presentation.xml", "content.xml", "META-INF/container.xml", "docProps/core.xml")
    data = package(
        **dict.fromkeys(names, hostile), **{"_rels/.rels": relations(("officeDocument", "word/document.xml"))}
    )
    with pytest.raises(DataError):
        parser.parse(data)


@pytest.mark.parametrize("parser", [docx, pptx, spreadsheet, odt, epub])
@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", package(), package(x="1"), word("")[:-40]])
def test_what_is_no_such_package_is_refused(parser, data: bytes):
    with pytest.raises(DataError):
        parser.parse(data)


@pytest.mark.parametrize(
    ("parser", "name"), [(docx, "word/document.xml"), (odt, "content.xml"), (pptx, "ppt/presentation.xml")]
)
def test_a_bomb_is_refused(parser, name: str):
    with pytest.raises(DataError):
        parser.parse(package(**{name: b" " * (400 << 20)}))


def test_a_macro_is_never_text():
    found = docx.parse(word(paragraph("Visible text."), **{"word/vbaProject.bin": "Sub AutoOpen() Shell"}))
    assert isinstance(found, Document)
    assert "Shell" not in found.text
