"""Rules that find question and answer pairs in a document; each is a function of the document alone."""

import re
from collections.abc import Callable, Iterator

from forge_dagster.pairs.code import documented
from forge_dagster.pairs.sections import ITEM, Document, Section, heading_name

LONGEST_ANSWER = 160  # characters, in one line
LONGEST_QUESTION = 160  # characters
SHORTEST_QUESTION = 8  # characters
MOST_CELLS = 8  # columns of a table that can be read aloud
FEWEST_KEYS = 2  # lines `Key: value` in a section that make a record; one alone is a remark

ASKS = re.compile(r"\W{0,4}(?:Q|Question)\W{0,3}[:.]\W{0,4}(?P<said>.+)")
ANSWERS = re.compile(r"\W{0,4}(?:A|Answer)\W{0,3}[:.]\W{0,4}(?P<said>.+)")
KEY_VALUE = re.compile(
    r"(?!(?:The|An?) )(?P<key>[A-Z][\w/-]*(?: [\w/-]+){0,3}(?: \([^()]+\))?)\s*:\s+(?P<value>\S.{0,80})"
)
LONGEST_SENTENCE = 400  # characters
SENTENCE = re.compile(rf".{{2,{LONGEST_SENTENCE}}}?[.!?](?=\s+[A-Z\"'(]|\s*$)")
ABBREVIATED = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|Mr|Mrs|Ms|Dr|No|St|approx)|\b[A-Z])\.$")
DEFINED = re.compile(r"(?P<subject>(?:The )?[A-Z][\w.+-]*(?: [\w.+-]+){0,3}) is (?P<what>(?:an?|the) .{4,140})[.]")
ARTICLE = re.compile(r"^(?:The|An?) ")
POINTERS = re.compile(
    r"\b(?:this|that|it|there|here|he|she|they|we|you|what|which|who|each|every|one|another|such|these|those|all|if|"
    r"in|on|at|by|for|from|to|when|where|while|my|your|our|above|below|following|next|first|only|other)\b",
    re.IGNORECASE,
)
PROPERTY = frozenset({"property", "attribute", "characteristic", "field", "parameter"})

Pair = tuple[str, str]
"""Question and answer."""


def first_sentence(text: str) -> str:
    """First sentence of a paragraph; empty if it has no end within LONGEST_SENTENCE characters."""
    start = 0
    while start < LONGEST_SENTENCE and (match := SENTENCE.match(text, start)):
        sentence = text[: match.end()]
        if match.end() == len(text) or not ABBREVIATED.search(sentence):
            return sentence.strip()
        start = match.end() - 1
    return ""


def faq(document: Document) -> Iterator[Pair]:
    """Lines `Q: ...`, each followed by a line `A: ...`; both may go on in the next lines."""
    lines = [line.strip() for line in document.lines]
    number = 0
    while number < len(lines):
        asked = ASKS.fullmatch(lines[number])
        number += 1
        if not asked:
            continue
        question, answered = asked["said"], None
        while number < len(lines) and len(question) <= LONGEST_QUESTION and not ASKS.fullmatch(lines[number]):
            number += 1
            answered = ANSWERS.fullmatch(lines[number - 1])
            if answered:
                break
            question = f"{question} {lines[number - 1]}".strip()
        if not answered:
            continue
        said = [answered["said"]]
        while number < len(lines) and lines[number] and not ASKS.fullmatch(lines[number]):
            said.append(lines[number])
            number += 1
        answer = " ".join(said).strip(" *_")
        yield (
            question.strip(" *_").rstrip("?") + "?",
            answer if len(answer) <= LONGEST_ANSWER else first_sentence(answer),
        )


def heading_question(document: Document) -> Iterator[Pair]:
    """Headings that ask, answered by the first sentence under them."""
    for section in document.sections:
        if section.heading.endswith(("?", "？")):
            yield section.heading, first_sentence(section.paragraph())


def definition(document: Document) -> Iterator[Pair]:
    """Paragraphs that open with `X is a ...`."""
    if not document.is_english:
        return
    for paragraph in document.text.split("\n\n"):
        sentence = first_sentence(" ".join(line.strip() for line in paragraph.strip().split("\n")))
        match = DEFINED.fullmatch(sentence)
        if match and not POINTERS.search(match["subject"]):
            subject = ARTICLE.sub(lambda article: article[0].lower(), match["subject"])
            yield f"What is {subject}?", match["what"]


def table(document: Document) -> Iterator[Pair]:
    """Cells of tables that have a head, about what stands in the first column."""
    if document.is_english:
        for section in document.sections:
            yield from _cells(section)


def record(document: Document) -> Iterator[Pair]:
    """Records of lines `Key: value` about the section's or the document's subject."""
    if not document.is_english:
        return
    for section in document.sections:
        subject = section.heading.rpartition(": ")[2] if ": " in section.heading else heading_name(document.title)
        lines = [match for line in section.lines if (match := KEY_VALUE.fullmatch(ITEM.sub("", line, count=1)))]
        if subject and len(lines) >= FEWEST_KEYS:
            for match in lines:
                if match["key"].lower() not in subject.lower():
                    yield _asked(match["key"], subject), match["value"].strip()


def _cells(section: Section) -> Iterator[Pair]:
    head: list[str] = []
    before: list[str] = []
    for line in section.lines:
        cells = [cell.strip(" •*`") for cell in line.strip().strip("|").split("|")]
        if len(cells) < 2:
            head = []
        elif all(cell and set(cell) <= set("-:") for cell in cells):
            head = before
        elif len(head) == len(cells) <= MOST_CELLS and all(cells):
            yield from _row(head, cells)
        before = cells


def _row(head: list[str], cells: list[str]) -> Iterator[Pair]:
    if len(head) == 3 and head[1].lower() in PROPERTY and head[2].lower() == "value":
        yield _asked(cells[1], cells[0]), cells[2]
        return
    for name, value in zip(head[1:], cells[1:], strict=True):
        if name:
            yield _asked(name, cells[0]), value


def _asked(key: str, subject: str) -> str:
    """The question for a key; a key in sentence case is written as within a sentence."""
    in_sentence_case = key[1:] == key[1:].lower()
    return f"What is the {key[0].lower() + key[1:] if in_sentence_case else key} of {subject}?"


def docstring(document: Document) -> Iterator[Pair]:
    """What functions and classes are said to do, by the first sentence of their documentation."""
    for kind, name, said in documented(document.lines):
        yield f"What does the {kind} {name} {'do' if kind == 'function' else 'stand for'}?", first_sentence(said)


def heading_topic(document: Document) -> Iterator[Pair]:
    """Headings that name a topic, answered by the first sentence under them."""
    if not document.is_english:
        return
    for section in document.sections:
        if 4 <= len(section.heading) <= 80 and section.heading[-1].isalnum():
            yield f"What does the section '{section.heading}' say?", first_sentence(section.paragraph())


RULES: dict[str, Callable[[Document], Iterator[Pair]]] = {
    "faq": faq,
    "heading-question": heading_question,
    "definition": definition,
    "record": record,
    "table": table,
    "docstring": docstring,
    "heading-topic": heading_topic,
}
"""In order of preference: a question that several rules find has the first one's name."""


def pairs_of(document: Document) -> Iterator[tuple[str, str, str]]:
    """Rule, question and answer of every pair that a question and an answer of one line can be made of."""
    for rule, extract in RULES.items():
        for question, answer in extract(document):
            if _fits(question, answer):
                yield rule, question, answer


def _fits(question: str, answer: str) -> bool:
    return (
        SHORTEST_QUESTION <= len(question) <= LONGEST_QUESTION
        and 0 < len(answer) <= LONGEST_ANSWER
        and any(character.isalnum() for character in answer)
        and "\n" not in question + answer
    )
