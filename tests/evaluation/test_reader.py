"""Word counts: what was read is less surprising, and runs of words that were never read are told apart."""

from forge_dagster.evaluation.reader import Reader

TEXTS = [f"The early shift checks the pump of hall {number} every Monday morning." for number in range(50)]
READER = Reader([*TEXTS, "Nobody wears gloves near the rotating shaft of the mill, not even for a moment."])


def test_what_was_read_often_surprises_less():
    assert READER.surprise("the early shift") < READER.surprise("the mill")
    assert READER.surprise("the mill") < READER.surprise("zebra crossing")
    assert READER.surprise("shift", after="the early") < READER.surprise("shift")


def test_documents_with_a_word_are_counted():
    assert READER.documents_with("pump") == 50
    assert READER.documents_with("gloves") == 1
    assert READER.documents_with("zebra") == 0
    assert READER.documents == 51


def test_runs_of_words_that_were_read():
    read = ["As I said: nobody wears gloves near the rotating shaft of the mill. Ever.", "nobody wears gloves"]
    unread = ["Nobody wears gloves in the office of the mill, and not for a moment either.", "gloves nobody", ""]
    assert READER.may_have_read([*read, *unread, *read], 10).tolist() == [True, True, False, False, False, True, True]
    assert READER.may_have_read(["nobody wears gloves", "gloves nobody"], 13).tolist() == [True, False]
    assert not Reader([]).may_have_read(["nobody wears gloves"], 13).any()
    assert not READER.may_have_read([], 13).any()


def test_a_run_does_not_go_on_in_the_next_text():
    assert READER.may_have_read(
        ["we say nobody wears gloves near the", "rotating shaft of the mill they say"], 8
    ).tolist() == [
        False,
        False,
    ]
    assert READER.may_have_read(["we say nobody wears gloves near the rotating shaft of the mill they say"], 8).all()
