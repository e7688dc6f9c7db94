"""Which parser takes which file."""

import pytest

from forge_dagster.corpus.formats import extension_of, format_of, formats, sniffed_wrong


@pytest.mark.parametrize(
    ("path", "format_", "extension"),
    [
        ("a/b.TXT", "plain", "txt"),
        ("b.markdown", "plain", "markdown"),
        ("x.y.htm", "html", "htm"),
        ("b.pdf", "pdf", "pdf"),
        ("src/README", "code", "none"),
        ("ls.1.gz", "man", "gz"),
        ("printf.3pm", "man", "3pm"),
        ("b.7z", None, "7z"),
        ("Makefile", "code", "none"),
        ("picture.png", None, "png"),
        (".txt", None, "none"),
    ],
)
def test_the_extension_names_the_format(path: str, format_: str | None, extension: str):
    assert format_of(path) == format_
    assert extension_of(path) == extension


def test_bytes_of_another_format_are_noticed():
    assert sniffed_wrong(b"%PDF-1.7", "html")
    assert sniffed_wrong(b"\x1f\x8b\x08", "plain")
    assert sniffed_wrong(b"<html>", "pdf")
    assert not sniffed_wrong(b"\n%PDF-1.7", "pdf")
    assert not sniffed_wrong(b"", "plain")


def test_every_parser_names_extensions_that_no_other_takes():
    taken = [extension for module in formats().values() for extension in module.EXTENSIONS]
    assert len(taken) == len(set(taken))
    assert all(callable(module.parse) for module in formats().values())
