"""Bytes to clean text: encodings, Unicode normal form, invisible characters, line ends."""

import codecs
import re
import unicodedata

from forge_dagster.errors import DataError

# Zero-width, bidirectional controls, soft hyphen, byte order mark, interlinear, tag and supplementary variation
# selectors, lone surrogates and non-characters: invisible, so they mislead.
INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\ud800-\udfff\U000e0000-\U000e0fff]"
)
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f-\x84\x86-\x9f]")
LINE_ENDS = re.compile("\r\n|[\r\u0085\u2028]")
PAGE_ENDS = re.compile("[\f\u2029]")
BLANK_LINES = re.compile(r"\n{3,}")
MOST_CONTROL = 0.01  # share of control characters above which bytes are no text
MOST_MARKS = 64  # combining marks in a row beyond which a text is hostile: NFC sorts them in quadratic time
NO_LATIN = re.compile(f"[^\0-\u02ff]{{{MOST_MARKS + 1},}}")  # where so many marks may be
CHARSET_SAMPLE = 200_000  # bytes the encoding is guessed from
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes, declared: str | None = None) -> str:
    """Decode text: by byte order mark, as UTF-8, as `declared`, else by guess.

    Raises DataError if the bytes are no text.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _readable(data.decode(encoding, "replace"))
    try:
        return _readable(data.decode("utf-8"))
    except UnicodeDecodeError:
        return _readable(data.decode(_known(declared) or _guessed(data), "replace"))


def _known(declared: str | None) -> str | None:
    """The declared encoding if Python has it as a text encoding."""
    if declared is None:
        return None
    try:
        codec = codecs.lookup(declared)
        "".encode(codec.name)  # refuses codecs that are no text encodings, such as `zip`
    except LookupError:
        return None
    return codec.name


def _guessed(data: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(data[:CHARSET_SAMPLE]).best()
    if best is None:
        raise DataError("no known encoding fits", rule="a text is readable in one encoding")
    return best.encoding


def _readable(text: str) -> str:
    if len(CONTROL.findall(text)) > MOST_CONTROL * max(len(text), 1):
        raise DataError("control characters throughout", rule="a text has at most 1 % of them")
    return text


def normalise(text: str) -> str:
    """NFC, Unix line ends, no invisible or control characters, at most one empty line in a row.

    Raises DataError if more than MOST_MARKS combining marks follow each other.
    """
    text = CONTROL.sub("", INVISIBLE.sub("", PAGE_ENDS.sub("\n\n", LINE_ENDS.sub("\n", text))))
    if not text.isascii():
        _refuse_stacked_marks(text)
        text = unicodedata.normalize("NFC", text)
    lines = "\n".join(line.rstrip() for line in text.split("\n"))
    return BLANK_LINES.sub("\n\n", lines).strip("\n") + "\n" if lines.strip() else ""


def _refuse_stacked_marks(text: str) -> None:
    for found in NO_LATIN.finditer(text):
        row = 0
        for character in found[0]:
            row = row + 1 if unicodedata.combining(character) else 0
            if row > MOST_MARKS:
                raise DataError(f"more than {MOST_MARKS} combining marks in a row", rule="a letter carries a few")
