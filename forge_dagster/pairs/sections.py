"""A document as a reader sees it: headings and what stands under them, whether Markdown's or underlined."""

import re
from dataclasses import dataclass, field
from functools import cached_property

from forge_dagster.corpus.words import words

UNDERLINE = re.compile(r"[=\-~^\"*]{3,}")
MARKED = re.compile(r"#{1,6} +(?P<name>.+)")
NUMBER = re.compile(r"(?:(?i:chapter|section|appendix) +)?(?:[A-Z]\.\d+(?:\.\d+)*|\d+(?:\.\d+)*|[A-Z](?=\.))\.? +")
ITEM = re.compile(r"(?:[-*•] +|\d{1,3}[.)] +)")
ENGLISH = frozenset({"the", "of", "and", "to", "is", "in", "for", "are"})
FEWEST_ENGLISH = 0.08  # share of these words; running English has two to three times as much, other languages less


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


@dataclass
class Document:
    """Title and clean text, cut up once for all rules."""

    title: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        """Lines without the line ends."""
        return self.text.split("\n")

    @cached_property
    def sections(self) -> list[Section]:
        """The document cut at its headings; the first section may have no heading."""
        found = [Section("")]
        for number, line in enumerate(self.lines):
            below = self.lines[number + 1] if number + 1 < len(self.lines) else ""
            if match := MARKED.fullmatch(line):
                found.append(Section(heading_name(match["name"])))
            elif line and not line[0].isspace() and UNDERLINE.fullmatch(below) and len(below) >= len(line) // 2:
                found.append(Section(heading_name(line)))
            elif not (UNDERLINE.fullmatch(line) and number and self.lines[number - 1].strip()):
                found[-1].lines.append(line)
        return found

    @cached_property
    def is_english(self) -> bool:
        """Whether a question worded in English suits the document."""
        found = words(self.text)
        return sum(word in ENGLISH for word in found) >= FEWEST_ENGLISH * max(len(found), 1)


def heading_name(heading: str) -> str:
    """A heading without its number and marks."""
    text = heading.strip(" #*\t")
    number = NUMBER.match(text)
    return text[number.end() :] if number else text
