"""Names of people are replaced where a source asks for it; without the engine such a source is refused."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import pytest

from forge_dagster.corpus import clean, names, snapshot
from forge_dagster.corpus.curate import curate
from forge_dagster.corpus.redact import redact
from forge_dagster.declared import load_declared
from forge_dagster.errors import RecipeError
from forge_dagster.source import Cleaning

ABSENT = importlib.util.find_spec("spacy") is None or importlib.util.find_spec(names.MODEL) is None
needs_engine = pytest.mark.skipif(ABSENT, reason="the extra `ner` is not installed")
LETTER = "Dear Ms. Anna Kessler,\n\nour colleague Michael Robertson will call you on Monday about the pump in hall 4.\n"
SOURCE = """
name: letters
kind: folder
location: .
owner: o
licence: internal
sensitivity: internal
cleaning: {names: true}
"""


@needs_engine
def test_names_are_replaced_and_their_places_recorded():
    text, spans = redact(LETTER, names=True)
    assert text == LETTER.replace("Anna Kessler", "[NAME]").replace("Michael Robertson", "[NAME]")
    assert [LETTER[span.start : span.end] for span in spans] == ["Anna Kessler", "Michael Robertson"]
    assert redact(LETTER)[1] == []


@needs_engine
def test_a_value_inside_a_name_keeps_its_own_kind():
    text, _ = redact("Write to Anna Kessler <anna.kessler@example.com> before Friday.", names=True)
    assert text == "Write to [NAME] <[EMAIL]> before Friday."


@needs_engine
def test_offsets_hold_across_pieces():
    text = ("The pump was cleaned and the filter replaced by the early shift.\n" * 400) + LETTER
    assert len(text) > names.PIECE
    assert [text[start:end] for _, start, end in names.spans(text)] == ["Anna Kessler", "Michael Robertson"]
    assert "".join(piece for _, piece in names._pieces("x" * 45_000)) == "x" * 45_000


@needs_engine
def test_the_confined_process_reads_names(
    folder: Path, hop: Callable, rows: Callable, clean_config: clean.CleanConfig, snapshot_of: Callable
):
    (folder / "letter.txt").write_text(LETTER)
    raw = hop("letters", snapshot.STAGE, {}, snapshot_of(folder))
    config = clean_config.model_copy(update={"cleaning": Cleaning(names=True)})
    cleaned = hop("named", clean.STAGE, {"raw_documents": raw}, config)
    letter = next(row for row in rows(cleaned / "documents.parquet") if row["path"] == "letter.txt")
    assert letter["text"].startswith("Dear Ms. [NAME],\n\nour colleague [NAME] will call")
    assert [span["kind"] for span in letter["redactions"]] == ["NAME", "NAME"]


@needs_engine
def test_text_of_another_language_is_not_read():
    text = "Frau Anna Kessler prüft die Pumpe jeden Morgen, bevor die Schicht beginnt, und trägt die Werte ein."
    assert curate("", text, "plain", Cleaning(names=True)).redactions == ()


def test_names_are_off_unless_asked_for():
    assert Cleaning().names is False


def test_a_source_that_needs_the_engine_is_refused_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, raw: Path, hop: Callable, clean_config: clean.CleanConfig
):
    monkeypatch.setattr(names, "MODEL", "no_such_model")
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "letters.yaml").write_text(SOURCE)
    monkeypatch.setenv("FORGE_SOURCES", str(tmp_path / "sources"))
    with pytest.raises(RecipeError, match=r"no_such_model is not installed\nRule: .*\nMend: pip install .*\[ner\]"):
        load_declared()
    with pytest.raises(RecipeError, match="no_such_model"):
        hop(
            "named",
            clean.STAGE,
            {"raw_documents": raw},
            clean_config.model_copy(update={"cleaning": Cleaning(names=True)}),
        )
