"""Each rule finds its pairs and leaves alone what is none."""

import time

import pytest

from forge_dagster.pairs.extraction import (
    RULES,
    definition,
    docstring,
    faq,
    first_sentence,
    heading_question,
    heading_topic,
    record,
    table,
)
from forge_dagster.pairs.sections import Document

ENGLISH = "\n\nThis is the text of the page, and it is in the language of the house.\n"


def read(text: str, title: str = "Pump P4") -> Document:
    return Document(title, text)


@pytest.mark.parametrize(
    "text",
    [
        "Q: Where is it?\nA: In hall 4",
        "**Q:** Where is it?\n\n**A:** In hall 4",
        "Question: Where\nis it?\nAnswer: In\nhall 4\n\nMore text.",
        "Q: Where is it\nA: In hall 4\nQ: Unanswered?",
        "Q: Unanswered?\nQ: Where is it?\nA: In hall 4",
    ],
)
def test_faq(text: str):
    assert list(faq(read(text))) == [("Where is it?", "In hall 4")]


def test_a_long_answer_gives_its_first_sentence():
    long = "The pump stands in hall 4. " + "It was brought there by many people. " * 10
    assert list(faq(read(f"Q: Where is it?\nA: {long}"))) == [("Where is it?", "The pump stands in hall 4.")]


@pytest.mark.parametrize(
    "text",
    [
        "## 1.2. What is it?\n\nIt is a pump. It pumps.\n\nMore.",
        "What is it?\n===========\n\nIt is a\npump. It pumps.\n",
        "# C.4 What is it? #\nIt is a pump.",
    ],
)
def test_headings_that_ask(text: str):
    assert list(heading_question(read(text))) == [("What is it?", "It is a pump.")]


@pytest.mark.parametrize("body", ["- item\n", "    code\n", "a | b\n", "| a |\n", "", "\n\n## Next\n"])
def test_a_heading_without_running_text_has_no_answer(body: str):
    assert [answer for _, answer in heading_question(read(f"# What is it?\n\n{body}"))] == [""]


def test_records_and_tables():
    text = (
        "# Data sheet\n\n## Specification: Bibrus valve\n\n- Seal kit number: CT-23\n- Home plant: Salzburg\n\n"
        "## Register\n\n| Subject | Property | Value |\n| --- | --- | --- |\n| Retheck broker | Port | 5412 |\n\n"
        "## Packages\n\nPackage | Installed size (MB)\n--- | ---\nlxc | 25\n\nlonely | row\n\n"
        "## Remarks\n\nNote: there is one of these only.\n"
    )
    assert list(record(read(text + ENGLISH))) == [
        ("What is the seal kit number of Bibrus valve?", "CT-23"),
        ("What is the home plant of Bibrus valve?", "Salzburg"),
    ]
    assert list(table(read(text + ENGLISH))) == [
        ("What is the port of Retheck broker?", "5412"),
        ("What is the Installed size (MB) of lxc?", "25"),
    ]


def test_a_record_without_a_named_heading_is_about_the_title():
    found = list(record(read("Colour: red\nOwner: Ines\n" + ENGLISH, title="3. Pump P4")))
    assert found == [("What is the colour of Pump P4?", "red"), ("What is the owner of Pump P4?", "Ines")]


def test_definitions_leave_pointers_alone():
    text = (
        "Dpkg is a package manager. More.\n\nThe Bibrus valve is the heart of hall 4.\n\n"
        "This page is a draft of it.\n\nApt is good.\n"
    )
    assert list(definition(read(text + ENGLISH))) == [
        ("What is Dpkg?", "a package manager"),
        ("What is the Bibrus valve?", "the heart of hall 4"),
    ]


def test_topics():
    text = "# Safety\n\nWear a helmet in the hall. Always.\n\n# Contents:\n\nNo.\n" + ENGLISH
    assert list(heading_topic(read(text))) == [("What does the section 'Safety' say?", "Wear a helmet in the hall.")]


@pytest.mark.parametrize("rule", [definition, record, table, heading_topic])
def test_questions_in_english_are_asked_of_english_documents_alone(rule):
    text = "# Sicherheit\n\nHelm ist a Pflicht.\n\nFarbe: rot\nOrt: Halle\n\nDer Helm ist eine gute Sache im Werk.\n"
    assert list(rule(read(text))) == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("One. Two.", "One."),
        ("See e.g. Chapter 2. Then go.", "See e.g. Chapter 2."),
        ("By J. Smith of the office. Next.", "By J. Smith of the office."),
        ("Version 1.2 is out. Next.", "Version 1.2 is out."),
        ("Go to hall B.", "Go to hall B."),
        ("no end", ""),
        ("", ""),
    ],
)
def test_first_sentence(text: str, sentence: str):
    assert first_sentence(text) == sentence


@pytest.mark.parametrize(
    "hostile",
    [
        "Q: " + "x " * 50_000,
        "Q: x\n" * 20_000,
        "# " + "-" * 200_000 + "\n" * 20_000 + "-",
        "A: " * 60_000,
        "The " * 60_000 + "is a b.",
        ("Key: " * 40 + "\n") * 2_000,
        "a. " * 60_000,
        "J. " * 60_000,
        "def f(\n" * 20_000,
        'def f():\n    """' * 20_000,
        "/**\n" * 20_000,
        "/** x */\n" + "a " * 60_000,
    ],
)
def test_no_rule_is_slow_on_hostile_text(hostile: str):
    """Linear time: each takes well under a second; quadratic would take minutes."""
    document = read(hostile + ENGLISH)
    start = time.process_time()
    for rule in RULES.values():
        for question, answer in rule(document):
            assert isinstance(question, str)
            assert isinstance(answer, str)
    assert time.process_time() - start < 10


CODE = '''
def press(pump, bar):
    """Presses oil through a pump.

    More of it.
    """

class Valve(Part):
    r"""A part that lets
    oil through. It leaks."""

async def wait(
    pump,
) -> None:
    "not documented"

/**
 * Returns the pressure of the pump. In bar.
 *
 * @param pump the pump
 */
public int pressureOf(Pump pump) {
/** Nothing is declared under this. */
int x = 3;
/** Never closed
'''


def test_code_is_asked_what_it_does():
    assert list(docstring(read(CODE))) == [
        ("What does the function press do?", "Presses oil through a pump."),
        ("What does the class Valve stand for?", "A part that lets oil through."),
        ("What does the function pressureOf do?", "Returns the pressure of the pump."),
    ]
