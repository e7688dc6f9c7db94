"""The point of a question: two that name the same and have the same answer ask the same in other words."""

from typing import NamedTuple

from forge_dagster.corpus.words import WORD, words


class Point(NamedTuple):
    """What is asked for."""

    names: frozenset[str]
    """The question's words with a capital or a digit, but for its first; the question itself if it has none."""
    answer: str


def point_of(question: str, answer: str) -> Point:
    """The point of a question."""
    names = (word.lower() for word in WORD.findall(question)[1:] if word[0].isupper() or word[0].isdigit())
    return Point(frozenset(names) or frozenset({question}), " ".join(words(answer)))
