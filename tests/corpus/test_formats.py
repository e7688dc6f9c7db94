"""Which parser takes which file."""

import pytest

from forge_dagster.corpus.formats import extension_of, format_of, parse_text, sniffed_wrong


@pytest.mark.parametrize(
    ("path", "format_", "extension"),
    [
        ("a/b.TXT", "txt", "txt"),
        ("b.markdown", "md", "markdown"),
        ("x.y.htm", "html", "htm"),
        ("b.pdf", "pdf", "pdf"),
        ("README", None, "none"),
        ("man.1.gz", None, "gz"),
        (".txt", None, "none"),
    ],
)
def test_the_extension_names_the_format(path: str, format_: str | None, extension: str):
    assert format_of(path) == format_
    assert extension_of(path) == extension


def test_bytes_of_another_format_are_noticed():
    assert sniffed_wrong(b"%PDF-1.7", "html")
    assert sniffed_wrong(b"\x1f\x8b\x08", "txt")
    assert sniffed_wrong(b"<html>", "pdf")
    assert not sniffed_wrong(b"\n%PDF-1.7", "pdf")
    assert not sniffed_wrong(b"", "txt")


def test_the_title_of_a_text_is_its_first_line_that_says_something():
    assert parse_text(b"\n====\n# The pump #\n====\ntext")[0] == "The pump"
    assert parse_text(b"\n\n") == ("", "\n\n")
