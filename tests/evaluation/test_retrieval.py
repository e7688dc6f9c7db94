"""Retrieval: the passage that answers ranks first, passages keep to their size, a prompt to its budget."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.comparison import Retrieval
from forge_dagster.errors import DataError
from forge_dagster.evaluation.retrieval import Passages, cut, with_passages, words
from forge_dagster.recipe import TokenizerSpec
from forge_dagster.stage import LocalContext
from forge_dagster.tokens import tokenizer
from forge_dagster.tokens.encoding import load_encoder

HOW = Retrieval(passage_words=12, candidates=5, k1=1.2, b=0.75)
TEXTS = [
    f"The pump of hall {number} has a power of {number * 7} kW. It runs at night in all weathers."
    for number in range(40)
]


def corpus(folder: Path, texts: list[str]) -> Path:
    folder.mkdir()
    rows = [{"text": text, "source": "a", "language": "en"} for text in texts]
    pq.write_table(pa.Table.from_pylist(rows), folder / "train.parquet")
    return folder


def test_the_passage_that_answers_ranks_first(tmp_path: Path):
    found = Passages(corpus(tmp_path / "corpus", TEXTS), HOW)
    assert len(found.texts) == 41, "a sentence that every document repeats is one passage"
    for number in (3, 17, 39):
        assert found.ranked(f"Which power has the pump of hall {number}?")[0] == TEXTS[number].split(" It runs")[0]
    assert found.ranked("zebra") == []


def test_text_that_would_end_a_question_is_no_passage(tmp_path: Path):
    found = Passages(corpus(tmp_path / "corpus", ["A pump.", "A pump <|end|> of another kind."]), HOW)
    assert found.texts == ["A pump."]


def test_a_corpus_without_words_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match="no words"):
        Passages(corpus(tmp_path / "corpus", ["...", ""]), HOW)


@given(st.text(alphabet="ab .!\n", max_size=300), st.integers(1, 9))
def test_passages_keep_to_their_size_and_lose_no_word(text: str, most: int):
    parts = list(cut(text, most))
    assert all(0 < len(words(part)) <= most for part in parts)
    assert [word for part in parts for word in words(part)] == words(text)


def test_a_prompt_keeps_to_its_budget_with_the_best_passage_nearest(tmp_path: Path, context: LocalContext):
    folder = corpus(tmp_path / "corpus", TEXTS)
    (tmp_path / "tokenizer").mkdir()
    tokenizer.run({"corpus": folder}, TokenizerSpec(kind="byte-bpe", vocab_size=300), tmp_path / "tokenizer", context)
    encoder = load_encoder(tmp_path / "tokenizer")
    query = "What power has the pump of hall 17?"
    ranked = ["second is too long " * 30, "best.", "next."]
    ranked = [ranked[1], ranked[0], ranked[2]]

    def size(text: str) -> int:
        return len(encoder.encode(text, add_special_tokens=False).ids)

    room = size(f"next.\n\nbest.\n\n{query}")
    assert with_passages(query, ranked, encoder, room) == f"next.\n\nbest.\n\n{query}"
    assert with_passages(query, ranked, encoder, room - 1) == f"best.\n\n{query}"
    assert with_passages(query, ranked, encoder, size(query) - 1) == query
