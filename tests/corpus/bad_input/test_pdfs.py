"""Bad PDF files: no script or attachment is text, loops end, bombs end in their own process."""

import random
import zlib
from collections.abc import Callable, Sequence

from hostile import LEAK, SAID, Inputs

FONT = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
PAGE = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 4 0 R >> >> /Contents 5 0 R >>"
SHOWN = f"BT /F1 12 Tf 72 720 Td ({SAID}) Tj ET".encode()
WORDS = [
    first + last for first in ("pump", "valve", "lamp", "crane", "belt") for last in ("s", "ing", "er", "ed", "age")
]
CATALOG = "/Type /Catalog /Pages 2 0 R"


def stream(data: bytes, entries: str = "") -> bytes:
    return f"<< /Length {len(data)} {entries} >>\nstream\n".encode() + data + b"\nendstream"


def flate(data: bytes, times: int) -> bytes:
    for _ in range(times):
        data = zlib.compress(data, 9)
    return stream(data, f"/Filter [{'/FlateDecode ' * times}]")


def pdf(
    *,
    catalog: str = CATALOG,
    pages: str = "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    page: str = PAGE,
    content: bytes = stream(SHOWN),
    more: Sequence[bytes] = (),
    trailer: str = "",
) -> bytes:
    """A whole PDF with a table of where its objects lie; objects 6 and on are `more`."""
    objects = [f"<< {catalog} >>".encode(), pages.encode(), page.encode(), FONT.encode(), content, *more]
    body, places = b"%PDF-1.7\n", []
    for number, item in enumerate(objects, start=1):
        places.append(len(body))
        body += b"%d 0 obj\n%b\nendobj\n" % (number, item)
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    head = f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n{table}"
    more_of_it = trailer.format(here=len(body))
    end = f"trailer << /Size {len(objects) + 1} /Root 1 0 R {more_of_it} >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + (head + end).encode()


IMAGE = stream(
    bytes(100 * 100),
    "/Type /XObject /Subtype /Image /Width 100 /Height 100 /ColorSpace /DeviceGray /BitsPerComponent 8",
)
SCAN = PAGE.replace("/Font << /F1 4 0 R >>", "/XObject << /I 6 0 R >>")
SCRIPT = f"/OpenAction << /S /JavaScript /JS (app.launchURL\\('{LEAK}'\\); steal\\(\\)) >>"
ATTACHED = (
    "/Names << /EmbeddedFiles << /Names [(evil.exe) << /Type /Filespec /F (evil.exe) /EF << /F 6 0 R >> >>] >> >>"
)
MILLION = f"<< /Type /Pages /Kids [{'3 0 R ' * 1_000_000}] /Count 1000000 >>"


def of_pages(count: int) -> bytes:
    """A PDF of that many pages, each of ten words."""
    draw = random.Random(1)
    shown = (f"BT /F1 12 Tf 72 720 Td ({' '.join(draw.choices(WORDS, k=10))}) Tj ET".encode() for _ in range(count))
    pages = (PAGE.replace("5 0 R", f"{6 + count + number} 0 R").encode() for number in range(count))
    kids = " ".join(f"{6 + number} 0 R" for number in range(count))
    return pdf(
        pages=f"<< /Type /Pages /Kids [{kids}] /Count {count} >>", more=[*pages, *(stream(each) for each in shown)]
    )


CATALOGUE: Inputs = {
    "sound.pdf": (pdf(), "kept"),
    "wrong.pdf": (SAID.encode(), "quarantined:not-what-it-says"),
    "polyglot.pdf": (b"<html><script>steal()</script>\n" + pdf(), "kept"),
    "truncated.pdf": (pdf()[:200], "quarantined:unparseable"),
    "no-table.pdf": (pdf().partition(b"xref")[0], "quarantined:unparseable"),
    "encrypted.pdf": (pdf(trailer="/Encrypt << /Filter /Standard /V 9 /R 9 >>"), "quarantined:unparseable"),
    "empty-page.pdf": (pdf(content=stream(b"")), "dropped:empty-text"),
    "scan.pdf": (pdf(page=SCAN, content=stream(b"100 0 0 100 0 0 cm /I Do"), more=[IMAGE]), "dropped:empty-text"),
    "script.pdf": (pdf(catalog=f"{CATALOG} {SCRIPT}"), "kept"),
    "attachment.pdf": (pdf(catalog=f"{CATALOG} {ATTACHED}", more=[stream(b"MZ evil", "/Type /EmbeddedFile")]), "kept"),
    "link.pdf": (pdf(page=PAGE[:-3] + f"/Annots [<< /Subtype /Link /A << /S /URI /URI ({LEAK}) >> >>] >>"), "kept"),
    "table-loop.pdf": (lambda: pdf(trailer="/Prev {here}"), "kept"),
    "pages-loop.pdf": (pdf(pages="<< /Type /Pages /Kids [2 0 R 2 0 R] /Count 2 >>"), "quarantined:unparseable"),
    "count.pdf": (pdf(pages="<< /Type /Pages /Kids [3 0 R] /Count 2000000000 >>"), "kept"),
    "ten-thousand-pages.pdf": (lambda: of_pages(10_000), "kept"),
    "million-pages.pdf": (lambda: pdf(pages=MILLION), "quarantined:unparseable:1,000,000 pages"),
    "flate.pdf": (lambda: pdf(content=flate(SHOWN, 40)), "kept"),
    "flate-bomb.pdf": (lambda: pdf(content=flate(b" " * (400 << 20), 3)), "dropped:empty-text"),
    "page-bomb.pdf": (lambda: pdf(content=flate(SHOWN * 1_000_000, 2)), "quarantined:parser-crashed"),
    "deep-array.pdf": (pdf(content=stream(b"[" * 200_000 + SHOWN)), "dropped:empty-text"),
    "deep-pages.pdf": (
        lambda: pdf(
            pages="<< /Type /Pages /Kids [6 0 R] /Count 1 >>",
            more=[f"<< /Type /Pages /Parent 2 0 R /Kids [{n + 7} 0 R] /Count 1 >>".encode() for n in range(20_000)],
        ),
        "quarantined:unparseable",
    ),
}


def test_every_bad_pdf_has_its_disposition(become: Callable):
    outcome = become(CATALOGUE)
    assert outcome.wrong(CATALOGUE) == {}
    assert len(outcome.texts.pop("ten-thousand-pages.pdf").split()) == 100_000
    for name, text in outcome.texts.items():
        assert text.strip() == SAID.strip(), name
