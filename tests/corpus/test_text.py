"""Decoding and normal form."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus.text import INVISIBLE, decode, normalise
from forge_dagster.errors import DataError

RUSSIAN = "Это руководство является свободным программным обеспечением и распространяется бесплатно. " * 20


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "koi8-r", "cp1251"])
def test_text_is_read_in_its_encoding(encoding: str):
    assert decode(RUSSIAN.encode(encoding)) == RUSSIAN


def test_a_declared_encoding_is_used_where_utf8_does_not_fit_and_a_false_one_is_not():
    data = "Gruß aus Köln".encode("latin-1")
    assert decode(data, "iso-8859-1") == "Gruß aus Köln"
    assert decode("Köln".encode(), "iso-8859-1") == "Köln"
    for false in ("zip", "no-such-encoding"):
        assert "aus K" in decode(data, false)


@pytest.mark.parametrize("data", [bytes(range(256)) * 40, RUSSIAN.encode("utf-16-le"), b"\x00" * 100])
def test_what_is_no_text_is_refused(data: bytes):
    with pytest.raises(DataError):
        decode(data)


def test_invisible_characters_and_odd_line_ends_are_gone():
    hidden = "a\u200bb\u202ec\ufeff\U000e0041d\u00ade\x00\x1b\udc80f\ufffe"
    assert (
        normalise(f"{hidden}\r\none \t\r\rtwo\u2028three\f\n\n\n\nfour\u0301") == "abcdef\none\n\ntwo\nthree\n\nfouŕ\n"
    )


def test_indentation_and_blank_text():
    assert normalise("\n\n    code\n  more   \n\n") == "    code\n  more\n"
    assert normalise(" \n\u200b\n\t") == ""


def test_a_tower_of_combining_marks_is_refused_before_it_costs_time():
    with pytest.raises(DataError, match="combining marks"):
        normalise("a" + "\u0301\u0323" * 500_000)
    assert normalise("n" + "\u0303" * 5)


@given(st.text(alphabet=st.characters(codec=None)))
def test_normal_form_is_reached_at_once_and_is_clean(text: str):
    clean = normalise(text)
    assert normalise(clean) == clean
    assert clean.encode("utf-8").decode("utf-8") == clean
    assert unicodedata.is_normalized("NFC", clean)
    assert not INVISIBLE.search(clean)
    assert "\n\n\n" not in clean
    assert not clean or clean.endswith("\n")


@pytest.mark.parametrize("text", ["Größe – „täglich“ Ý", "Â sign, Ã too", "na\u00efve \u2026", "“said”", "\u00a0"])
def test_what_was_encoded_twice_is_decoded_twice_and_nothing_else_is(text: str):
    assert decode(text.encode()) == text
    for wrong in ("latin-1", "cp1252"):
        try:
            twice = text.encode().decode(wrong).encode()
        except UnicodeDecodeError:
            continue
        assert decode(twice) == text


def test_a_few_strays_do_not_change_the_encoding():
    assert decode("Größe, Prüfung".encode() + "ü".encode("cp1252")) == "Größe, Prüfungü"
    assert decode("Größe".encode("cp1252"), "cp1252") == "Größe"
