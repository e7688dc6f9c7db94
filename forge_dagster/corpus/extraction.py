"""Rules that find question and answer pairs in the clean text of a document; each names itself and asks nobody."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

LONGEST_ANSWER = 160  # characters, in one line
MOST_CELLS = 8  # columns of a table that can be read aloud

UNDERLINE = re.compile(r"[=\-~^\"*]{3,}")
MARKED = re.compile(r"#{1,6} +(?P<name>.+)")
NUMBER = re.compile(r"(?:(?:chapter|section|appendix) +)?(?:[A-Z]|\d+)(?:\.\d+)*\.? +", re.IGNORECASE)
ITEM = re.compile(r"(?:[-*•] +|\d{1,3}[.)] +)")
ASKS = re.compile(r"\W{0,4}(?:Q|Question)\W{0,3}[:.]\W{0,4}(?P<said>.+)")
ANSWERS = re.compile(r"\W{0,4}(?:A|Answer)\W{0,3}[:.]\W{0,4}(?P<said>.+)")
KEY_VALUE = re.compile(r"(?P<key>[A-Z][\w /()-]{1,38}\w\)?)\s*:\s+(?P<value>\S.{0,118})")
SENTENCE = re.compile(r"(?P<s>.{2,400}?[.!?])(?=\s+[A-Z\"'(]|\s*$)")
ABBREVIATED = re.compile(r"(?:\b(?:e\.g|i\.e|etc|vs|cf|Mr|Mrs|Ms|Dr|No|St|approx)|\b[A-Z])\.$")
DEFINED = re.compile(r"(?P<subject>(?:The )?[A-Z][\w.+-]*(?: [\w.+-]+){0,3}) is (?P<what>(?:an?|the) .{4,140})[.]")
POINTERS = frozenset(
    [
        "this",
        "that",
        "it",
        "there",
        "here",
        "he",
        "she",
        "they",
        "we",
        "you",
        "what",
        "which",
        "who",
        "each",
        "every",
        "one",
        "another",
        "such",
        "these",
        "those",
        "all",
        "if",
        "in",
        "on",
        "at",
        "by",
        "for",
        "from",
        "to",
        "when",
        "where",
        "while",
    ]
)
PROPERTY = frozenset({"property", "attribute", "characteristic", "field", "item", "parameter"})

Pair = tuple[str, str]


@dataclass
class Section:
    """A heading and the lines under it, up to the next heading."""

    heading: str
    lines: list[str] = field(default_factory=list)

    def paragraph(self) -> str:
        """The running text right under the heading as one line; empty if something else stands there."""
        taken: list[str] = []
        for line in self.lines:
            if not line.strip():
                if taken:
                    break
                continue
            if line.startswith(("    ", "\t", "|", ">", "`")) or ITEM.match(line) or " | " in line:
                return ""
            taken.append(line.strip())
        return " ".join(taken)


def sections(text: str) -> list[Section]:
    """The document cut at its headings, Markdown's or underlined; the first section may have no heading."""
    found = [Section("")]
    lines = text.split("\n")
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if match := MARKED.fullmatch(line):
            found.append(Section(_name(match["name"])))
        elif line and not line[0].isspace() and UNDERLINE.fullmatch(below) and len(below) >= len(line) // 2:
            found.append(Section(_name(line)))
        elif not (UNDERLINE.fullmatch(line) and number and lines[number - 1].strip()):
            found[-1].lines.append(line)
    return found


def _name(heading: str) -> str:
    return NUMBER.sub("", heading.strip(), count=1).strip(" #*\t")


def first_sentence(text: str) -> str:
    """First sentence of a paragraph; empty if it has no end."""
    start = 0
    while match := SENTENCE.search(text, start):
        if not ABBREVIATED.search(text[: match.end()]):
            return text[: match.end()].strip()
        start = match.end() - 1
        if match.end() >= len(text):
            return text.strip()
    return ""


def faq(text: str, title: str) -> Iterator[Pair]:
    """Lines `Q: ...`, each followed by a line `A: ...`; both may go on in the next lines."""
    lines = [line.strip() for line in text.split("\n")]
    number = 0
    while number < len(lines):
        asked = ASKS.fullmatch(lines[number])
        number += 1
        if not asked:
            continue
        question = asked["said"]
        while number < len(lines) and not ANSWERS.fullmatch(lines[number]) and not ASKS.fullmatch(lines[number]):
            question += f" {lines[number]}"
            number += 1
        answered = ANSWERS.fullmatch(lines[number]) if number < len(lines) else None
        if not answered:
            continue
        said = [answered["said"]]
        number += 1
        while number < len(lines) and lines[number] and not ASKS.fullmatch(lines[number]):
            said.append(lines[number])
            number += 1
        answer = " ".join(said).strip(" *_")
        if len(answer) > LONGEST_ANSWER:
            answer = first_sentence(answer)
        yield question.strip(" *_").rstrip("?") + "?", answer


def heading_question(text: str, title: str) -> Iterator[Pair]:
    """Headings that ask, answered by the first sentence under them."""
    for section in sections(text):
        if section.heading.endswith("?"):
            yield section.heading, first_sentence(section.paragraph())


def key_value(text: str, title: str) -> Iterator[Pair]:
    """Lines `Key: value` about the section's or the document's subject, and rows of tables with a head."""
    for section in sections(text):
        subject = section.heading.rpartition(": ")[2] or title
        head: list[str] = []
        for number, line in enumerate(section.lines):
            cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
            if len(cells) < 2:
                head = []
                match = KEY_VALUE.fullmatch(ITEM.sub("", line.strip(), count=1))
                if match and subject and not line.startswith("    "):
                    yield _asked(match["key"], subject), match["value"].strip()
            elif all(set(cell) <= set("-: ") and cell for cell in cells):
                above = section.lines[number - 1] if number else ""
                head = [cell.strip() for cell in above.strip().strip("|").split("|")]
            elif len(head) == len(cells) <= MOST_CELLS and all(cells):
                yield from _row(head, cells)


def _row(head: list[str], cells: list[str]) -> Iterator[Pair]:
    if len(head) == 3 and head[1].lower() in PROPERTY and head[2].lower() == "value":
        yield _asked(cells[1], cells[0]), cells[2]
        return
    for name, value in zip(head[1:], cells[1:], strict=True):
        if name:
            yield _asked(name, cells[0]), value


def _asked(key: str, subject: str) -> str:
    """The question for a key; a key that opens with one capital is written as within a sentence."""
    word = key.split()[0]
    return f"What is the {key[0].lower() + key[1:] if word.istitle() else key} of {subject}?"


def definition(text: str, title: str) -> Iterator[Pair]:
    """Paragraphs that open with `X is a ...`."""
    for paragraph in text.split("\n\n"):
        sentence = first_sentence(" ".join(line.strip() for line in paragraph.strip().split("\n")))
        match = DEFINED.fullmatch(sentence)
        if match and not POINTERS & set(match["subject"].lower().split()):
            subject = match["subject"]
            yield (
                f"What is {subject[0].lower() + subject[1:] if subject.startswith('The ') else subject}?",
                match["what"],
            )


def heading_topic(text: str, title: str) -> Iterator[Pair]:
    """Headings that name a topic, answered by the first sentence under them."""
    for section in sections(text):
        heading = section.heading
        if 4 <= len(heading) <= 80 and heading[-1].isalnum():
            yield f"What does the section '{heading}' say?", first_sentence(section.paragraph())


RULES: dict[str, Callable[[str, str], Iterator[Pair]]] = {
    "faq": faq,
    "heading-question": heading_question,
    "key-value": key_value,
    "definition": definition,
    "heading-topic": heading_topic,
}
"""In order of preference: pairs of the first rules are kept when there are more than asked for."""
