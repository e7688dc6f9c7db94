"""What a server holds its model to: a sentence of the passage, words of that sentence, and a question they answer."""

import re
from collections.abc import Iterator
from typing import Any

from forge_dagster.corpus.words import words
from forge_dagster.pairs.extraction import LONGEST_ANSWER, LONGEST_QUESTION, LONGEST_SENTENCE, SHORTEST_QUESTION
from forge_dagster.pairs.passages import NOT_SAID

SHORTEST_QUOTE = 4  # words
MOST_WORDS = 8  # of an answer that is chosen among the words of a sentence
MOST_CHOICES = 1000  # answers of one schema; servers refuse larger ones
BEFORE_A_SENTENCE = re.compile(r"(?<=[.!?])\s+|\s*\n[\s\-*#>|]*")
QUESTION = {"type": "string", "pattern": rf'^[^?\n"\\]{{{SHORTEST_QUESTION - 1},{LONGEST_QUESTION - 1}}}\?$'}
FUNCTION_WORDS = frozenset(
    {"a", "an", "the", "of", "and", "or", "to", "in", "on", "at", "by", "for", "from", "with", "as", "is", "are", "was",
     "were", "be", "been", "it", "its", "this", "that", "these", "those", "which", "who", "whom", "whose", "what",
     "when", "where", "why", "how", "does", "do", "did", "can", "may", "must", "shall", "will", "would", "should",
     "has", "have", "had"}
)  # fmt: skip


def schema_of(passage: str, pairs: int) -> dict[str, Any]:
    """JSON Schema of a reply of at most so many pairs about a passage.

    The quote comes first, then the answer in its words, then the question: a model writes in this order, and what it
    has not found yet it cannot ask about. A passage of very many words leaves the answer free.
    """
    answers = {sentence: list(dict.fromkeys(_spans(sentence))) for sentence in _sentences(passage)}
    answers = {sentence: found for sentence, found in answers.items() if found}
    if not answers:
        pair: dict[str, Any] = _pair(_text(LONGEST_SENTENCE), _text(LONGEST_ANSWER))
    elif sum(map(len, answers.values())) > MOST_CHOICES:
        pair = _pair({"enum": list(answers)}, _text(LONGEST_ANSWER))
    else:
        pair = {"anyOf": [_pair({"const": sentence}, {"enum": found}) for sentence, found in answers.items()]}
    listed = {"type": "array", "items": pair, "minItems": 1, "maxItems": pairs}
    return {"type": "object", "properties": {"pairs": listed}, "required": ["pairs"], "additionalProperties": False}


def schema_of_answer(quote: str) -> dict[str, Any]:
    """JSON Schema of an answer in the words of a sentence, or that it says none."""
    answer = {"enum": [NOT_SAID, *dict.fromkeys(_spans(quote))]}
    return {"type": "object", "properties": {"answer": answer}, "required": ["answer"], "additionalProperties": False}


def _pair(quote: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
    properties = {"quote": quote, "answer": answer, "question": QUESTION}
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _text(most: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": most}


def _sentences(passage: str) -> list[str]:
    """Statements of a passage, each once; a question states nothing, and a line that ends in a colon announces."""
    found = (part.strip() for part in BEFORE_A_SENTENCE.split(passage))
    return list(
        dict.fromkeys(
            part
            for part in found
            if part and part[-1] not in "?:" and len(words(part)) >= SHORTEST_QUOTE and len(part) <= LONGEST_SENTENCE
        )
    )


def _spans(sentence: str) -> Iterator[str]:
    """Words of a sentence in a row that may be an answer: not all of it, no function word at an end, no break within.

    The last words first: there a sentence says what is new.
    """
    split = sentence.split()
    for first in range(len(split) - 1, -1, -1):
        for last in range(first, min(first + MOST_WORDS, len(split))):
            span = " ".join(split[first : last + 1]).strip(".,;:!?()[]\"'")
            said = words(span)
            if said and last - first + 1 < len(split) and not {said[0], said[-1]} & FUNCTION_WORDS:
                yield span
            if split[last][-1] in ",;:.!?":
                break
