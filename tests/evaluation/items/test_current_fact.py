"""Current facts: what a new version says otherwise, word against word."""

from forge_dagster.evaluation.items.current_fact import Versions, current_fact_items
from forge_dagster.evaluation.passages import Text

OLD = """The pump may take a pressure of 72 bar at most. It stands in the north hall of the works.

Its lead engineer is Hugo Berggren. The oil is changed every month by the early shift."""


def asked(new: str) -> list[tuple[str, str, str]]:
    items = current_fact_items([Versions(Text("o", "en", OLD), Text("n", "en", new))], seed=1, most=10)
    return sorted((item["query"], item["choices"][item["gold"]], item["choices"][1 - item["gold"]]) for item in items)


def test_each_change_is_asked_once_and_the_new_value_is_right():
    new = OLD.replace("72 bar", "85 bar").replace("Hugo Berggren", "Ines Stenby")
    assert asked(new) == [
        ("Its lead engineer is", "Ines Stenby", "Hugo Berggren"),
        ("The pump may take a pressure of", "85", "72"),
    ]
    items = current_fact_items([Versions(Text("o", "en", OLD), Text("n", "en", new))], seed=1, most=1)
    assert len(items) == 1
    assert items[0]["document_ids"] == ["n"]
    assert items[0]["superseded_ids"] == ["o"]


def test_a_sentence_put_in_moved_or_written_anew_is_no_change_of_a_fact():
    assert asked(OLD) == []
    assert asked(OLD + " Rust was removed from the frame and it was painted over.") == []
    assert asked(OLD.replace("It stands in the north hall of the works.", "Nobody knows where else it could be.")) == []
