"""Words of a text, as duplicates, contamination and keywords are counted in."""

import re

WORD = re.compile(r"\w+")


def words(text: str) -> list[str]:
    """Words of a text, lower-cased."""
    return WORD.findall(text.lower())
