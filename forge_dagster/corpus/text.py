"""Bytes to clean text: encodings, Unicode normal form, invisible characters, line ends."""

import re
import unicodedata

from forge_dagster.errors import DataError

# Zero-width, bidirectional controls, byte order mark, interlinear and tag characters: invisible, so they mislead.
INVISIBLE = re.compile("[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
BLANK_LINES = re.compile(r"\n{3,}")
TRAILING = re.compile(r"[ \t\u00a0]+$", re.MULTILINE)
MOST_CONTROL = 0.01  # share of control characters above which bytes are no text
CHARSET_SAMPLE = 200_000  # bytes the encoding is guessed from


def decode(data: bytes) -> str:
    """Decode text of unknown encoding. Raises DataError if the bytes are no text."""
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return _readable(data.decode(encoding, "replace"))
    try:
        return _readable(data.decode("utf-8"))
    except UnicodeDecodeError:
        from charset_normalizer import from_bytes

        best = from_bytes(data[:CHARSET_SAMPLE]).best()
        if best is None:
            raise DataError("no known encoding fits", rule="a text is readable in one encoding") from None
        return _readable(data.decode(best.encoding, "replace"))


def _readable(text: str) -> str:
    if len(CONTROL.findall(text)) > MOST_CONTROL * max(len(text), 1):
        raise DataError("control characters throughout", rule="a text has at most 1 % of them")
    return text


def normalise(text: str) -> str:
    """NFC, Unix line ends, no invisible or control characters, at most one empty line in a row."""
    text = unicodedata.normalize("NFC", text).replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    text = CONTROL.sub("", INVISIBLE.sub("", text))
    return BLANK_LINES.sub("\n\n", TRAILING.sub("", text)).strip() + "\n" if text.strip() else ""
