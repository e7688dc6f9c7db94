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
    assert READER.may_have_read("As I said: nobody wears gloves near the rotating shaft of the mill. Ever.", 10)
    assert not READER.may_have_read("Nobody wears gloves in the office of the mill, and not for a moment either.", 10)
    assert READER.may_have_read("nobody wears gloves", 13)
    assert not READER.may_have_read("gloves nobody", 13)
    assert not Reader([]).may_have_read("nobody wears gloves", 13)
