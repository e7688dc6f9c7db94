"""What of an answer is sent: the whole of it in the end, never half a character, nothing of a stop sequence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import encoder

from forge_dagster.server.written import BROKEN, Written
from forge_dagster.tokens.control import CONTROL, END_ID

ENCODER = encoder()
TEXTS = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters=BROKEN), max_size=40)


@given(TEXTS, st.lists(st.text("ab ", min_size=1, max_size=4), max_size=3))
def test_the_pieces_are_the_text_up_to_the_first_stop(text: str, stops: list[str]) -> None:
    ids = [*ENCODER.encode(text, add_special_tokens=False).ids, END_ID]
    written, pieces = Written(ENCODER, stops), []
    for number, token in enumerate(ids):
        pieces.append(written.add([token], is_last=number == len(ids) - 1))
        assert BROKEN not in pieces[-1]
        if written.has_stopped:
            break
    places = [text.find(stop) for stop in stops if stop in text]
    assert "".join(pieces) == written.text
    assert text.startswith(written.text)
    assert written.has_stopped == bool(places)
    assert not any(stop in written.text for stop in stops)
    if len(stops) < 2 or not places:  # of several the one that is complete first counts, wherever it began
        assert written.text == text[: min(places, default=len(text))]


def test_what_is_no_character_at_the_end_is_shown_as_such() -> None:
    ids = ENCODER.encode("é", add_special_tokens=False).ids
    assert Written(ENCODER).add(ids[:1], is_last=False) == ""
    assert Written(ENCODER).add(ids[:1], is_last=True) == BROKEN


@pytest.mark.parametrize("token", range(len(CONTROL)))
def test_control_tokens_are_not_shown(token: int) -> None:
    assert Written(ENCODER).add([token], is_last=True) == ""
