"""The parsers themselves fetch nothing and read no file: tried in this process, without the walls of a parser's own."""

import pytest
import test_markup
import test_offices
import test_pdfs
from hostile import LISTENER

from forge_dagster.corpus.parse_worker import answer

SMALL = 200_000  # bytes; the bombs are for a process with limits
NAMED = [
    (name, made)
    for module in (test_markup, test_offices, test_pdfs)
    for name, (made, reason) in module.CATALOGUE.items()
    if reason == "kept"
]


def test_nothing_is_fetched_or_read_without_the_walls():
    read = 0
    for name, made in NAMED:
        data = made() if callable(made) else made
        if len(data) < SMALL:
            told = answer({"task": "parse", "path": name}, data)
            assert b"root:" not in told
            read += b'"error"' not in told
    assert read >= 30
    LISTENER.setblocking(False)
    with pytest.raises(BlockingIOError):
        LISTENER.accept()
