"""Words of a text, as duplicates, contamination and keywords are counted in."""

import re

WORD = re.compile(r"\w+")
# Twice as fast as the expression where it can be used: outside of ASCII a translation is slower than it.
APART = {code: " " for code in range(128) if not WORD.match(chr(code))}


def words(text: str) -> list[str]:
    """Words of a text, lower-cased."""
    lower = text.lower()
    return lower.translate(APART).split() if lower.isascii() else WORD.findall(lower)
