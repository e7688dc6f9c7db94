"""`forge trace`: the longest shared runs of words are found, with their places."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from forge_dagster.cli.main import app
from forge_dagster.corpus.words import words
from forge_dagster.errors import UserError
from forge_dagster.lineage.trace import NOTE, shared, trace

TEXTS = st.lists(st.sampled_from("abc"), max_size=25).map(" ".join)


@given(TEXTS, TEXTS)
def test_the_longest_run_is_found(text: str, other: str) -> None:
    mine, theirs = words(text), words(other)
    longest = max(
        (n for n in range(5, 26) for a in range(len(mine) - n + 1) for b in range(len(theirs) - n + 1)
         if mine[a : a + n] == theirs[b : b + n]),
        default=0,
    )  # fmt: skip
    spans = shared(text, other)
    assert (spans[0].words if spans else 0) == longest
    for span in spans:
        assert text[span.at :].startswith(span.text)
        assert other[span.document_at :].lower().startswith(span.text)


def test_spans_say_where_they_stand() -> None:
    (span,) = shared("So: the Blue lamp\nis on at seven!", "We know, the blue lamp is on at NIGHT")
    assert (span.words, span.text, span.at, span.document_at) == (6, "the Blue lamp\nis on at", 4, 9)


def test_a_sentence_of_a_document_leads_to_it_in_the_release_that_has_it(chain) -> None:
    text = "Well, the archive added this note about the blue lamp in spring, or did it"
    before, after = (trace(*chain.opened(), release, text, 3) for release in chain.releases)
    assert after[0].path == chain.changed
    assert after[0].spans[0].text == "the archive added this note about the blue lamp in spring"
    assert not [match for match in before if match.longest > 8]
    said = CliRunner().invoke(app, ["trace", text, "--json"], catch_exceptions=False).stdout
    assert json.loads(said)["matches"][0]["path"] == chain.changed
    assert NOTE in CliRunner().invoke(app, ["trace", text, "--release", "nano"], catch_exceptions=False).stdout


def test_what_stands_nowhere_is_said(chain) -> None:
    said = CliRunner().invoke(app, ["trace", "quick zebras vex my lazy jumping wolf"], catch_exceptions=False)
    assert "No training document" in said.stdout


def test_a_short_text_is_refused(chain) -> None:
    with pytest.raises(UserError, match="4 words"):
        trace(*chain.opened(), chain.releases[0], "only four words here", 3)


def test_a_release_is_named_where_there_is_none(home) -> None:
    with pytest.raises(UserError, match="0 current releases"):
        CliRunner().invoke(app, ["trace", "one two three four five"], catch_exceptions=False)
