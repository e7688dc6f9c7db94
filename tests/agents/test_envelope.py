"""Text of documents comes as data: cut, without control characters, and with a notice that says what it is."""

from forge_dagster.agents.envelope import MOST_NAME, MOST_SENTENCE, NOTICE, enveloped, name_of, tamed


def test_text_is_marked_and_cut():
    inner = enveloped("a" * 5000, 100, source="plant")["untrusted_document_text"]
    assert inner == {
        "notice": NOTICE, "source": "plant", "characters": 5000, "truncated": True, "text": "a" * 100,
    }  # fmt: skip


def test_nothing_steers_a_terminal_or_hides():
    text = "one\x1b[2Jtwo\u202ethree\u200b\nfour"
    assert enveloped(text)["untrusted_document_text"]["text"] == "one[2Jtwothree\nfour"
    assert name_of("a\nb\x07" + "c" * 500) == ("a b" + "c" * 500)[:MOST_NAME]


def test_plain_data_is_tamed_all_through():
    assert tamed({"a": ["x\ny", 1, None, {"b": "z" * 999}]}) == {"a": ["x y", 1, None, {"b": "z" * MOST_SENTENCE}]}
