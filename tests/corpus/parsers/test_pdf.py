"""PDF becomes running text."""

import pytest

from forge_dagster.corpus.parsers.pdf import join_hyphenated, parse, without_furniture
from forge_dagster.errors import DataError


def make_pdf(pages: list[list[str]], title: str = "") -> bytes:
    """A PDF of Latin text, one list of lines a page."""
    fonts = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    kids = " ".join(f"{4 + 2 * number} 0 R" for number in range(len(pages)))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        fonts,
    ]
    for number, lines in enumerate(pages):
        shown = " ".join(f"({line}) Tj T*" for line in lines)
        stream = f"BT /F1 12 Tf 14 TL 72 720 Td {shown} ET"
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {5 + 2 * number} 0 R >>"
        )
        objects.append(f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream")
    objects.append(f"<< /Title ({title}) >>")
    body, places = b"%PDF-1.4\n", []
    for number, item in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n{item}\nendobj\n".encode("latin-1")
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    trailer = f"trailer << /Size {size} /Root 1 0 R /Info {len(objects)} 0 R >>\nstartxref\n{len(body)}\n%%EOF\n"
    return body + f"xref\n0 {size}\n0000000000 65535 f \n{table}{trailer}".encode("latin-1")


def test_pages_and_title_are_read():
    document = parse(make_pdf([["The pump runs.", "It is red."], ["Second page."]], title="The pump"))
    assert document.title == "The pump"
    assert document.text == "The pump runs.\nIt is red.\n\nSecond page."


@pytest.mark.parametrize("data", [b"%PDF-1.4\n", b"%PDF-1.4 junk" * 99, make_pdf([["x"]])[:80]])
def test_a_damaged_file_is_refused(data: bytes):
    with pytest.raises(DataError, match="not a readable PDF"):
        parse(data)


@pytest.mark.parametrize(
    ("broken", "joined"),
    [
        ("the main-\ntenance plan", "the maintenance plan"),
        ("the main\x02\ntenance plan", "the maintenance plan"),
        ("a well-known way, a well-\nknown way", "a well-known way, a well-known way"),
        ("a Pan-\nEuropean law", "a Pan-European law"),
        ("rows 1-\n2", "rows 1-\n2"),
        ("a list:\n- one", "a list:\n- one"),
    ],
)
def test_words_broken_at_line_ends_are_joined_sensibly(broken: str, joined: str):
    assert join_hyphenated(broken) == joined


def test_lines_that_pages_repeat_at_their_edges_are_left_out():
    pages = [f"Handbook\nchapter text {word}\nHandbook\n\nPage {n}" for n, word in enumerate("abcdef")]
    assert without_furniture(pages) == [f"chapter text {word}\nHandbook" for word in "abcdef"]
    assert without_furniture(pages[:3]) == pages[:3]
    assert without_furniture(["same"] * 5) == [""] * 5


def test_running_heads_that_change_with_the_section_are_left_out():
    pages = [
        f"CHAPTER {n // 3}. PUMPS {n}.{n} CARE OF PART {word}\nWash {word} well.\n{n}"
        for n, word in enumerate("abcdef")
    ]
    assert without_furniture(pages) == [f"Wash {word} well." for word in "abcdef"]


def test_heads_that_only_neighbours_share_are_left_out():
    heads = ["The Root", "The Root", "Var", "Var", "Home", "Home", "Boot", "Boot", "Opt", "Opt", "Srv", "Srv"]
    pages = [f"{head}\n{n}\nText number {chr(97 + n)} stays.\nAs it is {chr(98 + n)}." for n, head in enumerate(heads)]
    assert [page.split("\n")[0] for page in without_furniture(pages)] == [
        f"Text number {chr(97 + n)} stays." for n in range(12)
    ]


def test_leaders_and_page_numbers_of_a_table_of_contents_are_left_out():
    pages = [["1.2 The pump . . . . . . . . . 17", "Preface ........ iv", "Wait... 3 turns.", "Tested in 1998."]]
    assert parse(make_pdf(pages)).text == "1.2 The pump\nPreface\nWait... 3 turns.\nTested in 1998."
