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
CONTROL_BYTES = bytes([*range(9), 11, *range(14, 32), 127])  # those of ASCII; in UTF-8 they stand for nothing else
LINE_ENDS = ("\r\n", "\r", "\u0085", "\u2028")
PAGE_ENDS = ("\f", "\u2029")
BLANK_LINES = re.compile(r"\n{3,}")
MOST_CONTROL = 0.01  # share of control characters above which bytes are no text
MOST_MARKS = 64  # combining marks in a row beyond which a text is hostile: NFC sorts them in quadratic time
NO_LATIN = re.compile(f"[^\0-\u02ff]{{{MOST_MARKS + 1},}}")  # where so many marks may be
STRAY = re.compile("[\udc80-\udcff]")  # a byte that is not UTF-8, by surrogateescape
NOT_ASCII = re.compile(r"[^\x00-\x7f]")
UNDEFINED = "cp1252-undefined"  # name of an error handler
WIDE_SAMPLE = 4096  # bytes, an even number
CHARSET_SAMPLE = 200_000  # bytes the encoding is guessed from
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode(data: bytes, declared: str | None = None) -> str:
    """Decode text: by byte order mark or zero bytes, as UTF-8, as `declared`, as UTF-8 with strays, else by guess.

    Raises DataError if the bytes are no text.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _readable(data.decode(encoding, "replace"))
    if wide := _unmarked_utf16(data[:WIDE_SAMPLE]):
        return _readable(data.decode(wide, "replace"))
    try:
        return _readable(_encoded_once(data.decode("utf-8")))
    except UnicodeDecodeError:
        known = _known(declared)
        text = data.decode(known, "replace") if known else _with_strays(data)
        return _readable(text if text is not None else data.decode(_guessed(data), "replace"))


def _unmarked_utf16(head: bytes) -> str | None:
    """UTF-16 without a byte order mark, told by the zero bytes that Latin letters have in it."""
    first, second = (head[start::2].count(0) / max(1, len(head) // 2) for start in (0, 1))
    if max(first, second) < 0.4 or min(first, second) > 0.05:
        return None
    return "utf-16-be" if first > second else "utf-16-le"


def _encoded_once(text: str) -> str:
    """Text whose UTF-8 was taken for cp1252 and encoded again, as it was before; any other text as it is."""
    if text.isascii():
        return text
    try:
        return text.encode("cp1252", UNDEFINED).decode("utf-8")
    except UnicodeError:
        return text


def _as_latin(error: UnicodeError) -> tuple[bytes, int]:
    """Bytes that the wrong reading left as they were: all of Latin-1's controls, or those cp1252 does not define."""
    if isinstance(error, UnicodeEncodeError) and "\x80" <= error.object[error.start] <= "\x9f":
        return error.object[error.start].encode("latin-1"), error.start + 1
    raise error


codecs.register_error(UNDEFINED, _as_latin)


def _with_strays(data: bytes) -> str | None:
    """UTF-8 that was put together with some cp1252; None if most of its letters are not UTF-8."""
    text = data.decode("utf-8", "surrogateescape")
    strays = len(STRAY.findall(text))
    if len(NOT_ASCII.findall(text)) < 3 * strays:  # the strays are counted as well
        return None
    return STRAY.sub(lambda stray: bytes([ord(stray[0]) - 0xDC00]).decode("cp1252", "replace"), text)


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
    for end in LINE_ENDS:
        text = text.replace(end, "\n")
    for end in PAGE_ENDS:
        text = text.replace(end, "\n\n")
    is_ascii = text.isascii()
    if not is_ascii:
        text = INVISIBLE.sub("", text)
    if not is_ascii or _has_control(text):
        text = CONTROL.sub("", text)
    if not is_ascii:
        _refuse_stacked_marks(text)
        text = unicodedata.normalize("NFC", text)
    lines = "\n".join(map(str.rstrip, text.split("\n"))).strip("\n")
    return BLANK_LINES.sub("\n\n", lines) + "\n" if lines else ""


def _has_control(text: str) -> bool:
    """Whether an ASCII text has control characters; a tenth of the time that the expression takes to find none."""
    data = text.encode()
    return len(data.translate(None, CONTROL_BYTES)) < len(data)


def _refuse_stacked_marks(text: str) -> None:
    for found in NO_LATIN.finditer(text):
        row = 0
        for character in found[0]:
            row = row + 1 if unicodedata.combining(character) else 0
            if row > MOST_MARKS:
                raise DataError(f"more than {MOST_MARKS} combining marks in a row", rule="a letter carries a few")
