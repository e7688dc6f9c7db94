"""Which of four reasons is that of a rule."""

import re
from collections.abc import Iterator

from forge_dagster.evaluation.item import Candidate, ItemTask
from forge_dagster.evaluation.passages import MARKUP, Material, paragraphs, sentences

TASK = ItemTask(
    name="reason",
    role="generalisation",
    choices=4,
    description="Held-out documents: which of four reasons, purposes or exceptions is that of a rule.",
)
STATED = ItemTask(
    name="reason_stated",
    role="knowledge",
    choices=4,
    description="Which of four reasons is that of a rule; training documents state them word for word.",
)
RULE = re.compile(
    r"\b(?:must|should|shall|may not|cannot|can not|can't|do not|don't|never|always|need(?:s)? to|ha(?:s|ve) to|"
    r"required|recommended|forbidden|allowed|avoid|ensure|use|make sure)\b",
    re.IGNORECASE,
)
BECAUSE = {
    "because": re.compile(r",? (?:because|since|as otherwise|otherwise)\b,? "),
    "so that": re.compile(r",? (?:so that|in order that)\b "),
    "to": re.compile(
        r",? (?:in order to|so as to|to(?= (?:allow|avoid|enable|ensure|keep|make sure|prevent|protect|reduce)\b))\b "
    ),
    "unless": re.compile(r",? (?:unless|except when|except if|only if|only when)\b "),
}
"""Connectives; reasons after those of one kind can stand for each other."""
SHORTEST_RULE, SHORTEST, LONGEST = 25, 20, 200  # characters of a rule and of a reason


def candidates(material: Material) -> Iterator[Candidate]:
    """Every sentence that states a rule, a connective and what follows it."""
    for document in material.held_out:
        for paragraph in paragraphs(document.text):
            before = ""
            for sentence in sentences(paragraph):
                if found := _split(sentence):
                    kind, rule, reason = found
                    yield Candidate(
                        (document.language, kind), f"{before} {rule}".strip(), reason, document.id, sentence
                    )
                before = sentence if len(sentence) <= LONGEST and not MARKUP.search(sentence) else ""


def _split(sentence: str) -> tuple[str, str, str] | None:
    """Kind of connective, the rule up to and with it, and the reason."""
    if MARKUP.search(sentence) or sentence[-1:] not in (".", "!"):
        return None
    for kind, pattern in BECAUSE.items():
        for found in pattern.finditer(sentence):
            rule, reason = sentence[: found.start()], sentence[found.end() :]
            if len(rule) >= SHORTEST_RULE and SHORTEST <= len(reason) <= LONGEST and RULE.search(rule):
                return kind, sentence[: found.end()].strip(), reason
    return None
