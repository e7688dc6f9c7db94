"""Mail, tables, records, notebooks, code, reStructuredText and manual pages give what a reader would read."""

import json
from email.message import EmailMessage

import pytest

from forge_dagster.corpus.parsers import code, mail, man, notebook, records, rst, table
from forge_dagster.errors import DataError


def message() -> EmailMessage:
    made = EmailMessage()
    made["Subject"] = "Größe der Pumpe"
    made["From"] = "a@example.org"
    made["Date"] = "Thu, 14 Mar 2024 10:00:00 +0100"
    made.set_content("The pump is 3 m high.\n\nRegards\n")
    return made


def test_a_message_gives_subject_date_and_body():
    found = mail.parse(message().as_bytes())
    assert found.title == "Größe der Pumpe"
    assert found.time is not None
    assert found.time.startswith("2024-03-14")
    assert "The pump is 3 m high." in found.text


def test_of_a_message_in_two_forms_one_is_read_and_attachments_are_not():
    made = message()
    made.add_alternative("<p>The pump is 3 m high.</p>", subtype="html")
    made.add_attachment(b"MZ evil", maintype="application", subtype="octet-stream", filename="x.exe")
    text = mail.parse(made.as_bytes()).text
    assert text.count("The pump is 3 m high.") == 1
    assert "evil" not in text


def test_a_message_of_html_alone_is_read():
    made = EmailMessage()
    made["Subject"] = "Rules"
    made.set_content("<h1>Rules</h1><p>Oil the pump.</p><script>steal()</script>", subtype="html")
    text = mail.parse(made.as_bytes()).text
    assert "Oil the pump." in text
    assert "steal" not in text


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_table_keeps_its_rows(separator: str):
    rows = [["part", "weight", "note"], ["valve", "3 kg", "two\nlines"], ["pump", "80 kg", ""]]
    data = "\n".join(separator.join(f'"{cell}"' for cell in row) for row in rows).encode()
    text = table.parse(data).text
    assert "part | weight | note" in text
    assert "valve | 3 kg | two lines" in text


@pytest.mark.parametrize(
    "data",
    [
        b'[{"part": "valve", "weight": 3}, {"part": "pump", "weight": 80}]',
        b'{"part": "valve", "weight": 3}\n{"part": "pump", "weight": 80}\n',
        b'{"parts": [{"part": "valve", "weight": 3}, {"part": "pump", "weight": 80}]}',
    ],
)
def test_records_are_told_field_by_field(data: bytes):
    text = records.parse(data).text
    assert text.index("valve") < text.index("3") < text.index("pump") < text.index("80")
    assert "{" not in text


@pytest.mark.parametrize("data", [b"{", b"[1, 2", b"[" * 100_000, b'{"a": 1}\n{"b": '])
@pytest.mark.parametrize("parser", [records, notebook])
def test_broken_json_is_refused(parser, data: bytes):
    with pytest.raises((DataError, RecursionError)):
        parser.parse(data)


def test_a_notebook_gives_text_and_code_and_no_pictures():
    cells = [
        {"cell_type": "markdown", "source": ["# Weights\n", "Of all pumps."], "metadata": {}},
        {
            "cell_type": "code",
            "source": "print(1 + 1)",
            "metadata": {},
            "execution_count": 1,
            "outputs": [{"output_type": "display_data", "data": {"image/png": "iVBORw0KGgo"}, "metadata": {}}],
        },
    ]
    found = notebook.parse(json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode())
    assert found.title == "Weights"
    assert found.text.index("Of all pumps.") < found.text.index("print(1 + 1)")
    assert "iVBOR" not in found.text


def test_code_is_kept_as_it_is():
    source = 'def f(x):\n\treturn {"a":  x}\n'
    assert code.parse(source.encode()).text.strip() == source.strip()


def test_rst_loses_its_marks_and_keeps_its_words():
    source = """
=====
Pumps
=====

See :ref:`valves <valve-page>` and ``pump --start``.

.. note:: Oil it *daily*.

.. image:: pump.png

.. include:: /etc/passwd

Parts
-----

* valve
* gasket
"""
    found = rst.parse(source.encode())
    assert found.title == "Pumps"
    for said in ("valves", "pump --start", "Oil it", "daily", "Parts", "gasket"):
        assert said in found.text
    assert "root:" not in found.text
    assert ":ref:" not in found.text


MAN = rb""".\" a comment
.TH PUMP 1 2024-03-14 "Works 2.1" "User Commands"
.SH NAME
pump \- moves water
.SH SYNOPSIS
.B pump
[\fB\-v\fR] \fIFILE\fR
.SH DESCRIPTION
Moves water \(em or oil \(em from
.IR here " to " there .
.TP
.B \-v, \-\-verbose
Say more.
.PP
.nf
  pump   a.conf
.fi
"""
MDOC = b""".Dd March 14, 2024
.Dt PUMP 1
.Os
.Sh NAME
.Nm pump
.Nd moves water
.Sh DESCRIPTION
The
.Nm
utility moves water to
.Ar file .
.Bl -tag -width indent
.It Fl v
Say more.
.El
"""


def test_a_manual_page_gives_its_text_without_marks():
    found = man.parse(MAN)
    assert "pump" in found.title.lower()
    text = " ".join(found.text.split())
    assert "pump - moves water" in text or "pump \u2013 moves water" in text
    assert "from here to there." in text
    assert "-v, --verbose" in text
    assert "  pump   a.conf" in found.text
    assert "a comment" not in text
    assert "\\f" not in text


def test_an_mdoc_page_gives_its_text_without_macros():
    text = " ".join(man.parse(MDOC).text.split())
    assert "The pump utility moves water to file." in text
    assert "-v" in text
    assert "Say more." in text
    assert ".Nm" not in text
