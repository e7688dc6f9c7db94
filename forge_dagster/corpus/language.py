"""Language of a text, by n-grams of its letters (py3langid, Lui and Baldwin 2012); code and tables have none."""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

NONE = "zxx"  # ISO 639-2: no linguistic content
FEWEST_LETTERS = 40
PIECES, PIECE = 5, 240  # characters, spread over a longer text: no title page or index decides
NOT_PROSE = re.compile(r"https?://\S+|\S+@\S+|[`|{}<>_=;/\\#*\[\]()$%^&+~]|\d+")
CODE_FORMATS = ("code", "records", "table")


@cache
def load_model() -> "LanguageIdentifier":
    """The identifier; loading takes half a second."""
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)


def language_of(text: str, format_: str) -> str:
    """ISO 639-1 code of the main language, or `zxx` if the text has too few words to have one."""
    if format_ in CODE_FORMATS:
        return NONE
    prose = NOT_PROSE.sub(" ", _sample(text))
    if sum(map(str.isalpha, prose)) < FEWEST_LETTERS:
        return NONE
    return str(load_model().classify(prose.lower())[0])


def _sample(text: str) -> str:
    if len(text) <= PIECES * PIECE:
        return text
    step = (len(text) - PIECE) // (PIECES - 1)
    # A piece begins and ends at a space, or in mid-word where there is none: halves of words look foreign.
    pieces = [text[number * step : number * step + PIECE] for number in range(PIECES)]
    return " ".join(" ".join(piece.split()[1:-1]) or piece for piece in pieces)
