"""Plain text keeps every character; its title is the first line that says something."""

from forge_dagster.corpus.parsers.plain import parse


def test_the_title_is_the_first_line_that_says_something():
    assert parse(b"\n====\n# The pump #\n====\ntext").title == "The pump"
    assert (parse(b"\n\n").title, parse(b"\n\n").text) == ("", "\n\n")


def test_front_matter_gives_the_date_and_no_title():
    document = parse(b"---\ntitle: x\ndate: 2024-05-01\n---\n# The pump\n")
    assert (document.title, document.time) == ("The pump", "2024-05-01")
    assert document.text.startswith("---\n")


def test_a_date_that_the_head_states():
    assert parse(b"Pump\n\nLast updated: 2023-11-02\n").time == "2023-11-02"
    assert parse(b"Pump\n" + b"word " * 500 + b"\nLast updated: 2023-11-02\n").time is None
