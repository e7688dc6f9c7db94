"""Feedback in the home: what is kept, for how long, and that a preference stage reads the pairs as people's own."""

import json
import stat
from datetime import UTC, datetime, timedelta

import pytest

from forge_dagster.home import Home
from forge_dagster.pair_source import load_pair_source
from forge_dagster.pairs.given import Preference, read_lines
from forge_dagster.server.answering import Answer
from forge_dagster.server.asked import FeedbackAsked
from forge_dagster.server.feedback import PAIRS, RATINGS, Feedback
from forge_dagster.server.opened import Served
from forge_dagster.server.refused import Refused

QUESTION = "Who keeps the keys of room 7?"


def answer(text: str, question: str | None = QUESTION) -> Answer:
    return Answer(read=9, most=20, question=question, text=text)


def said(rating: int, text: str | None = None) -> FeedbackAsked:
    return FeedbackAsked.model_validate({"response": "r", "rating": rating, "text": text, "consent": True})


def test_a_correction_is_a_pair_that_the_preference_stage_reads(place: tuple[Home, Served]) -> None:
    feedback = Feedback(*place, days=30, keeps_prompts=True)
    assert feedback.take(said(-1, "Maria Holm."), answer("Nobody."), []) == 1
    yaml = feedback.folder / "feedback.yaml"
    yaml.write_text(f"name: feedback\nkind: preference\nlocation: {PAIRS}\nowner: the desk\nlicence: internal\n")
    placed = load_pair_source(yaml)
    ((_, pair),) = read_lines(feedback.folder / PAIRS, Preference)
    assert (pair.prompt, pair.chosen, pair.rejected) == (QUESTION, "Maria Holm.", "Nobody.")
    assert placed.location == str(feedback.folder / PAIRS)
    (line,) = map(json.loads, (feedback.folder / PAIRS).read_text().splitlines())
    lasts = (datetime.now(UTC) + timedelta(days=30)).date().isoformat()
    assert (line["consent"], line["retention"], line["release"]) == (True, lasts, str(place[1]))
    for name in (PAIRS, RATINGS):
        assert stat.S_IMODE((feedback.folder / name).stat().st_mode) == 0o600
        (feedback.folder / name).unlink()


def test_a_good_and_a_bad_answer_to_one_question_are_a_pair(place: tuple[Home, Served]) -> None:
    feedback = Feedback(*place, days=30, keeps_prompts=True)
    bad, good, other = answer("Nobody."), answer("Maria Holm."), answer("At seven.", "When?")
    everyone = [bad, good, other]
    assert [feedback.take(said(mark), each, everyone) for each, mark in ((bad, -1), (other, 1), (good, 1))] == [0, 0, 1]
    ((_, pair),) = read_lines(feedback.folder / PAIRS, Preference)
    assert (pair.chosen, pair.rejected) == ("Maria Holm.", "Nobody.")
    with pytest.raises(Refused, match="was rated -1") as caught:
        feedback.take(said(1), bad, everyone)
    assert caught.value.status == 409
    assert len((feedback.folder / RATINGS).read_text().splitlines()) == 3
    for name in (PAIRS, RATINGS):
        (feedback.folder / name).unlink()


def test_without_the_prompt_no_word_is_kept(place: tuple[Home, Served]) -> None:
    feedback = Feedback(*place, days=30, keeps_prompts=False)
    assert feedback.take(said(-1, "Maria Holm."), answer("Nobody.", None), []) == 0
    assert not (feedback.folder / PAIRS).exists()
    kept = (feedback.folder / RATINGS).read_text()
    assert "Maria" not in kept
    assert "Nobody" not in kept
    (feedback.folder / RATINGS).unlink()


def test_the_answer_itself_is_no_better_one(place: tuple[Home, Served]) -> None:
    with pytest.raises(Refused, match="the answer itself"):
        Feedback(*place, days=30, keeps_prompts=True).take(said(-1, "Nobody."), answer("Nobody."), [])


def test_what_has_lapsed_is_taken_out_at_the_next_start(place: tuple[Home, Served]) -> None:
    feedback = Feedback(*place, days=1, keeps_prompts=False)
    feedback.take(said(1), answer("Nobody."), [])
    path = feedback.folder / RATINGS
    line = json.loads(path.read_text())
    path.write_text(json.dumps(line | {"retention": "2020-01-01"}) + "\n" + json.dumps(line) + "\n")
    Feedback(*place, days=1, keeps_prompts=False)
    assert [json.loads(each)["retention"] for each in path.read_text().splitlines()] == [line["retention"]]
