"""What of a model's reply becomes rows: pairs in the schema, stated word for word by the passage they are about."""

import re
from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import Field, ValidationError

from forge_dagster.corpus import redact
from forge_dagster.corpus.words import words
from forge_dagster.pairs.extraction import LONGEST_ANSWER, LONGEST_QUESTION, SHORTEST_QUESTION
from forge_dagster.pairs.passages import CHAT_MARKS, ORDERS
from forge_dagster.pairs.schema import FUNCTION_WORDS, SHORTEST_QUOTE
from forge_dagster.stage import FrozenModel

FENCE = re.compile(r"\s*```(?:json)?\s*\n(?P<inside>.*?)\n?\s*```\s*", re.DOTALL)
PERSON = re.compile(r"(?:who|whom|whose)\b", re.IGNORECASE)
NUMBER = re.compile(r"how (?:many|old|tall|high|heavy)\b", re.IGNORECASE)
NUMBER_WORDS = frozenset(
    {"none", "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
     "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty",
     "fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "half", "dozen"}
)  # fmt: skip
Text = Annotated[str, Field(min_length=1)]


class Pair(FrozenModel):
    """One pair as a model is to write it."""

    question: Text
    answer: Text
    quote: Text


class Reply(FrozenModel):
    """The whole reply."""

    pairs: list[Pair]


def reply_of(text: str) -> Reply | None:
    """The reply, if it is in the schema; a fence of Markdown around it is left out."""
    fenced = FENCE.fullmatch(text)
    try:
        return Reply.model_validate_json(fenced["inside"] if fenced else text, strict=True)
    except ValidationError:
        return None


class Answered(FrozenModel):
    """What a model says when its own question is put to it."""

    answer: Text


def confirmed(text: str, answer: str) -> bool:
    """Whether a reply to a pair's own question is its answer, or more or less of the same words."""
    fenced = FENCE.fullmatch(text)
    try:
        said = set(_content(Answered.model_validate_json(fenced["inside"] if fenced else text, strict=True).answer))
    except ValidationError:
        return False
    wanted = set(_content(answer))
    return bool(said) and (said <= wanted or wanted <= said)


def why_not(pair: Pair, passage: str) -> str:
    """Why a pair does not become a row; empty if it does."""
    both = f"{pair.question}\n{pair.answer}"
    if not (SHORTEST_QUESTION <= len(pair.question) <= LONGEST_QUESTION and len(pair.answer) <= LONGEST_ANSWER):
        return "length"
    if "\n" in pair.question + pair.answer or not pair.question.rstrip().endswith("?"):
        return "no-question-of-one-line"
    if CHAT_MARKS.search(both) or ORDERS.search(both):
        return "injection"
    if redact.find(both):
        return "sensitive"
    return "" if _is_supported(pair, passage) else "unsupported"


def _is_supported(pair: Pair, passage: str) -> bool:
    """Whether the quote stands in the passage and states all that the answer says, and the question is about both."""
    quote, said, asked = words(pair.quote), _content(pair.answer), _content(pair.question)
    return (
        len(quote) >= SHORTEST_QUOTE
        and f" {' '.join(quote)} " in f" {' '.join(words(passage))} "
        and bool(said)
        and set(said) <= set(quote)
        and bool(set(asked) & set(quote))
        and not set(said) <= set(asked)
        and _is_of_the_kind(pair.answer, pair.question)
    )


def _is_of_the_kind(answer: str, question: str) -> bool:
    """Whether an English question for a number is answered by one, and one for a person is not; others pass."""
    first = words(answer)[0]
    if PERSON.match(question):
        return not (first[0].isdigit() or first in NUMBER_WORDS)
    counts = any(word[0].isdigit() or word in NUMBER_WORDS for word in words(answer))
    return counts or not NUMBER.match(question)


def _content(text: str) -> Sequence[str]:
    return [word for word in words(text) if word not in FUNCTION_WORDS]


def judged(reply: Reply, passage: str, most: int) -> Iterator[tuple[Pair, str]]:
    """Each pair with why it does not become a row; pairs beyond `most` were not asked for."""
    for number, pair in enumerate(reply.pairs):
        yield pair, why_not(pair, passage) if number < most else "beyond-what-was-asked"
