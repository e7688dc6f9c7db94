"""Which of four definitions is that of a term."""

import re
from collections.abc import Iterator

from forge_dagster.corpus.words import words
from forge_dagster.evaluation.item import Candidate, ItemTask
from forge_dagster.evaluation.passages import BULLET, MARKUP, Material, paragraphs, sentences

TASK = ItemTask(
    name="definition",
    role="generalisation",
    choices=4,
    description="Held-out documents: which of four definitions is that of a term.",
)
STATED = ItemTask(
    name="definition_stated",
    role="knowledge",
    choices=4,
    description="Which of four definitions is that of a term; training documents state them word for word.",
)
SHORTEST, LONGEST = 20, 200  # characters of a definition
POINTERS = re.compile(
    r"\b(?:this|that|it|there|here|he|she|they|we|you|what|which|who|each|every|one|another|such|these|those|all|if|in|on|"
    r"at|by|for|from|to|when|where|while|my|your|our|above|below|following|next|previous|first|second|third|last|only|"
    r"other|notes?|example|warning|result|value|argument|parameter|default|reason|purpose|problem|answer|question)\b",
    re.IGNORECASE,
)
"""What a term does not hold."""
TERM = r"[A-Za-z][\w.+()/-]*(?: [\w.+()/-]+){0,3}"
FORMS = {
    "is": re.compile(rf"(?P<term>(?:The |An? )?{TERM}) is (?P<said>(?:an?|the) .+?)[.]"),
    "means": re.compile(rf"(?P<term>(?:The |An? )?{TERM}) (?:means|refers to|stands for|denotes) (?P<said>.+?)[.]"),
    "line": re.compile(rf"(?P<term>{TERM})(?: - | -- | — | – |: )(?P<said>[A-Za-z].+?)[.]?"),
}
"""`X is a ...`, `X means ...`, and a line of its own, as in a glossary or the name of a manual page."""
ASKED = {"is": "{term} is", "means": "{term} means", "line": "{term}:"}
LEAD = re.compile(r"^(?:The|An?) ")


def candidates(material: Material) -> Iterator[Candidate]:
    """Every definition that does not use the term's own words."""
    for document in material.held_out:
        for form, term, said, passage in _defined(document.text):
            plain = LEAD.sub("", term)
            named = words(plain)
            if named and not POINTERS.search(plain) and not _given_away(named, said):
                kind = (document.language, form, said.split()[0] if form == "is" else "")
                yield Candidate(kind, ASKED[form].format(term=term), said, document.id, passage)


def _defined(text: str) -> Iterator[tuple[str, str, str, str]]:
    for part in text.split("\n\n"):
        lines = part.strip().splitlines()
        for line in lines:
            alone = len(lines) == 1 or BULLET.match(line)
            if alone and (found := FORMS["line"].fullmatch(BULLET.sub("", line.strip()))):
                yield from _good("line", found, line)
    for paragraph in paragraphs(text):
        for sentence in sentences(paragraph):
            for form in ("is", "means"):
                if found := FORMS[form].fullmatch(sentence):
                    yield from _good(form, found, sentence)


def _good(form: str, found: re.Match[str], passage: str) -> Iterator[tuple[str, str, str, str]]:
    said = found["said"].strip()
    if SHORTEST <= len(said) <= LONGEST and len(said.split()) > 2 and not MARKUP.search(passage):
        yield form, found["term"], said, passage


def _given_away(named: list[str], said: str) -> bool:
    """Whether a definition holds a word of its term, or the beginning of one."""
    stems = {word[:5] for word in words(said) if len(word) > 2}
    return any(word[:5] in stems for word in named if len(word) > 2)
