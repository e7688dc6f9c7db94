"""Which of four sentences comes next."""

from collections.abc import Iterator

from forge_dagster.evaluation.item import Candidate, ItemTask
from forge_dagster.evaluation.passages import Material, fair, paragraphs, sentences

TASK = ItemTask(
    name="next_sentence",
    role="generalisation",
    choices=4,
    description="Held-out documents: which of four sentences comes next.",
)
STATED = None
CONTEXT = 2  # sentences before the one that is asked for


def candidates(material: Material) -> Iterator[Candidate]:
    """The beginning of every paragraph whose first sentences are all fair."""
    for document in material.held_out:
        for paragraph in paragraphs(document.text):
            found = sentences(paragraph)[: CONTEXT + 1]
            if len(found) > CONTEXT and all(map(fair, found)):
                yield Candidate(
                    (document.language, ""), " ".join(found[:CONTEXT]), found[CONTEXT], document.id, paragraph
                )
