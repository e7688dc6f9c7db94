"""The proof that held-out wordings are new: they share no word 5-gram with any template or document.

Words are lower-cased and stripped of punctuation; a subject's name counts as one word, the same for every subject, so
that two wordings which differ only in the subject are the same wording.
"""

import re
from collections.abc import Iterable, Iterator, Sequence

SIZE = 5
"""Words of an n-gram; the size at which near-duplicates are told apart as well."""
SUBJECT = "<subject>"
SLOT = re.compile(r"\{(?:s|S|n)\}")
WORD = re.compile(r"<subject>|\w+")

Gram = tuple[str, ...]


def words(text: str, subjects: Sequence[str]) -> list[str]:
    """Return the words of a text or a template, each name in `subjects` as one."""
    text = SLOT.sub(f" {SUBJECT} ", text)
    if subjects:
        longest_first = sorted(subjects, key=lambda name: (-len(name), name))
        names = (r"\s+".join(re.escape(part) for part in name.split()) for name in longest_first)
        text = re.sub("|".join(names), f" {SUBJECT} ", text, flags=re.IGNORECASE)
    return WORD.findall(text.lower())


def grams(text: str, subjects: Sequence[str] = (), size: int = SIZE) -> Iterator[Gram]:
    """Yield the n-grams of a text."""
    found = words(text, subjects)
    for start in range(len(found) - size + 1):
        yield tuple(found[start : start + size])


def shared(held_out: Iterable[str], corpus: Iterable[str], subjects: Sequence[str] = ()) -> dict[Gram, str]:
    """Return every n-gram that a held-out wording shares with the corpus, with the wording it stands in.

    An empty mapping is the proof. `held_out` are prefixes or templates, `corpus` documents or templates.
    """
    wanted = {gram: text for text in held_out for gram in grams(text, subjects)}
    return {gram: wanted[gram] for text in corpus for gram in grams(text, subjects) if gram in wanted}
