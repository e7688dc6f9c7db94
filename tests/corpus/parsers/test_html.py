"""HTML becomes the text a reader sees."""

import pytest

from forge_dagster.corpus.parsers.html import DEEPEST, parse
from forge_dagster.corpus.text import normalise
from forge_dagster.errors import DataError


def text(html: str) -> str:
    return normalise(parse(html.encode()).text)


def test_title_headings_lists_and_tables_keep_their_form():
    document = parse(
        b"<!DOCTYPE html><html><head><title>The\n  pump</title></head><body><h1>Pump <a class=headerlink>#</a></h1>"
        b"<p>It\n pumps.<br>Always.</p><ul><li><p>One</p></li><li>Two <b>bold</b></li></ul>"
        b"<table><tr><th>Key</th><th>Value</th></tr><tr><td>Port</td><td>80</td></tr></table></body></html>"
    )
    assert document.title == "The pump"
    assert normalise(document.text) == (
        "# Pump\n\nIt pumps.\nAlways.\n\n- One\n\n- Two bold\n\nKey | Value\n--- | ---\nPort | 80\n"
    )


@pytest.mark.parametrize(
    "furniture",
    [
        "<script>x()</script>",
        "<style>a{}</style>",
        "<nav>menu</nav>",
        "<div role=navigation>menu</div>",
        "<div class=sphinxsidebar>menu</div>",
        "<div class=navheader>Prev</div>",
        "<header>Company</header>",
        "<footer>2026</footer>",
        "<p hidden>secret</p>",
        "<p style='color:red;display:none'>secret</p>",
        "<template>later</template>",
        "<!-- comment -->",
    ],
)
def test_furniture_and_hidden_parts_are_left_out(furniture: str):
    assert text(f"<body>{furniture}<p>Content.</p>{furniture}</body>") == "Content.\n"


def test_the_main_part_is_taken_and_its_own_header_kept():
    page = "<body><div>around</div><main><header><h1>Title</h1></header><p>Inside.</p></main></body>"
    assert text(page) == "# Title\n\nInside.\n"
    assert text("<article>One.</article><article>Two.</article>") == "One.\nTwo.\n"
    assert text("<p>Said.</p><aside class=footnote>Noted.</aside>") == "Said.\n\nNoted.\n"


def test_code_keeps_its_indentation_and_text_does_not():
    assert text("<p>\n   a\n   b</p><pre>if x:\n  y\n    z</pre>") == "a b\n\nif x:\n  y\n    z\n"


def test_the_declared_encoding_is_used():
    page = '<html><head><meta charset="iso-8859-2"></head><body><p>Příliš žluťoučký kůň</p></body></html>'
    assert "Příliš žluťoučký kůň" in parse(page.encode("iso-8859-2")).text


@pytest.mark.parametrize("empty", ["", "<", "<html></html>", "<frameset></frameset>", "\n"])
def test_a_page_without_text_gives_none(empty: str):
    assert text(empty).strip() in ("", "<")


def test_a_page_nested_beyond_reason_is_refused():
    with pytest.raises(DataError, match="nested deeper"):
        parse(b"<div>" * (DEEPEST + 50) + b"x")


def test_numbered_lists_keep_their_numbers():
    page = b"<ol start=3><li>Lift<ul><li>left</li></ul></li><li><p>Turn</p></li></ol><ul><li>Oil</li></ul>"
    lines = [line.strip() for line in parse(page).text.split("\n") if line.strip()]
    assert lines == ["3. Lift", "- left", "4. Turn", "- Oil"]
