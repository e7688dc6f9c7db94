import pypdfium2
import pytest
from pydantic import ValidationError

from forge_dagster.sample import html, markdown, names, pdf, plain
from forge_dagster.sample.blocks import Code, Document, Heading, Items, Pairs, Paragraph, Questions, Table
from forge_dagster.sample.draw import Cycle, Draw
from forge_dagster.sample.values import Organisation
from forge_dagster.sample.wordings import Relation, Sentences, prefix_of

DOCUMENT = Document(
    "Data sheet <1> of (the) pump \\ Kornström",
    (("Status", "released & approved"),),
    (
        Heading("What it is"),
        Paragraph("A pump of the Bodal pump kind. " * 12),
        Items(("first", "second"), numbered=True),
        Pairs((("Rated pressure", "45 bar"),)),
        Table(("Property", "Value"), (("Colour", "red"),)),
        Code(("port = 4627",)),
        Questions((("How much pressure?", "45 bar"),)),
    ),
    frozenset({"Bodal pump"}),
)


def _pdf_text(data: bytes) -> list[str]:
    document = pypdfium2.PdfDocument(data)
    return [page.get_textpage().get_text_range() for page in document]


def test_pdf_reads_back_with_every_special_character():
    (text,) = _pdf_text(pdf.render(DOCUMENT))
    for part in ("Data sheet <1> of (the) pump \\ Kornström", "Rated pressure: 45 bar", "port = 4627", "A: 45 bar"):
        assert part in text
    assert text.count("Bodal pump") == 12, "a name is never divided between two lines"


def test_pdf_breaks_pages_and_is_the_same_every_time():
    long = Document("Long", (), tuple(Paragraph(f"Paragraph number {number}.") for number in range(200)))
    assert pdf.render(long) == pdf.render(long)
    pages = _pdf_text(pdf.render(long))
    assert len(pages) > 5
    assert "Paragraph number 199." in pages[-1]


def test_pdf_refuses_what_its_font_lacks():
    with pytest.raises(UnicodeEncodeError):
        pdf.render(Document("漢字", (), ()))


def test_markdown_plain_and_html_carry_every_block():
    for render in (markdown.render, plain.render, html.render):
        text = render(DOCUMENT).decode()
        for part in ("What it is", "first", "second", "Rated pressure", "45 bar", "Colour", "red", "port = 4627"):
            assert part in text, render
    assert "Q: How much pressure?\nA: 45 bar" in markdown.render(DOCUMENT).decode()
    assert "&lt;1&gt;" in html.render(DOCUMENT).decode()
    assert "released &amp; approved" in html.render(DOCUMENT).decode()


def test_names_repeat_neither_next_to_each_other_nor_far_apart():
    for make, count in (
        (names.word, 223_123),
        (names.person, 60_000),
        (names.part_number, 42_000),
        (names.port, 8_999),
    ):
        sampled = [make(7, index) for index in (*range(500), *range(500, count, 997))]
        assert len(set(sampled)) == len(sampled), make


def test_draw_is_pinned_and_fair():
    assert [Draw("pinned").below(1000) for _ in range(2)] == [Draw("pinned").below(1000)] * 2
    draw = Draw(1)
    counts = [0] * 5
    for _ in range(5000):
        counts[draw.below(5)] += 1
    assert min(counts) > 880
    assert sorted(Draw(2).shuffled(range(50))) == list(range(50))


def test_cycle_deals_everything_before_anything_again():
    cycle = Cycle("abcde", Draw(3))
    assert sorted(cycle.next() for _ in range(5)) == sorted(cycle.next() for _ in range(5)) == list("abcde")


def test_prefix_ends_right_before_the_value():
    assert prefix_of("{S} takes kit {v}.") == "{S} takes kit"
    assert prefix_of("Kit {v} fits {s}.") is None


@pytest.mark.parametrize(
    ("key", "template", "message"),
    [
        ("forward", "{V} belongs to {s}.", "subject comes before the value"),
        ("reversed", "{S} has {v}.", "value comes before the subject"),
        ("asks", "Is {s} at {v}?", "names the subject, not the value"),
        ("asks", "Tell me about {s}.", "names the subject, not the value"),
    ],
)
def test_templates_keep_their_order(key, template, message):
    with pytest.raises(ValidationError, match=message):
        Sentences.model_validate({"forward": (), "reversed": (), "asks": (), key: (template,)})


@pytest.mark.parametrize(
    ("unseen", "message"),
    [("Only {s} has", "fewer than 5 words"), ("The value {v} of our {s} is", "names the subject, not the value")],
)
def test_held_out_wordings_must_prove_something(unseen, message):
    with pytest.raises(ValidationError, match=message):
        Relation(
            forward=(), reversed=(), asks=(), nouns=("kit",), ask="Which kit does one need for {s}?", unseen=(unseen,)
        )


def test_pools_must_hold_a_value_for_every_subject():
    with pytest.raises(ValidationError, match="fewer than 12 values"):
        Organisation(relations={"pump": {"colour": "colour"}}, nouns={"pump": ("pump",)}, pools={"colour": ("red",)})
    with pytest.raises(ValidationError, match="has no nouns"):
        Organisation(relations={"pump": {"lead": "person"}}, nouns={}, pools={})
