"""Quality and repetition of a text (Rae et al. 2021, Gopher, appendix A.1.1), with limits for internal prose.

The limits of web corpora throw most internal documents away: short pages, tables, option lists, command listings.
These catch what no reader wants: repeated junk, encoded blobs, garbled text.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

LETTERS = re.compile(r"[^\W\d_]")
SAYS = re.compile(r"[^\W_]")
PLAIN_WORD = re.compile(r"\W?[A-Za-z]{3,}\W?")
VOWEL = re.compile(r"[aeiouy]", re.IGNORECASE)
UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]"
)  # scripts without spaces between words
MEASURED = 200_000  # characters from the head of a text; the rest of a longer one is like it
SHORTEST_GRAM = 5  # words of the grams whose repetition is measured
UNSPACED_TEXT = 0.2  # share of such characters from which words cannot be counted
FEWEST_WORDS = 20  # below this shares mean nothing


@dataclass(frozen=True)
class Quality:
    """Measures of one text; shares are of words, lines or characters, 0 to 1."""

    words: int
    word_length: float
    alphabetic_words: float
    """Share of words with a letter; marks such as the bars of a table are no words."""
    longest_word: int
    repeated_lines: float
    """Share of characters in lines that came before; lines without a letter do not count."""
    top_gram: float
    """Share of characters in the most frequent word 3-gram."""
    repeated_grams: float
    """Share of words inside a 5-gram that came before."""
    unspaced: float
    """Share of characters of scripts that put no spaces between words."""
    replacement_characters: float
    spaced_letters: float
    """Share of words that are one letter: text torn apart by a scan."""
    vowelless: float
    """Share of words of three Latin letters or more that no mouth can say; 0 if there are few such words."""


def measure(text: str) -> Quality:
    """Measure a text, or its first MEASURED characters."""
    sample = text[:MEASURED]
    words = sample.split()
    distinct = Counter(words)
    count = max(1, len(words))
    characters = max(1, sum(map(len, words)))
    return Quality(
        words=len(words),
        word_length=characters / count,
        alphabetic_words=_matching(distinct, LETTERS) / max(1, _matching(distinct, SAYS)),
        longest_word=max(map(len, distinct), default=0),
        repeated_lines=_repeated_lines(sample),
        top_gram=_top_gram(words, characters),
        repeated_grams=_repeated_grams(words),
        unspaced=0.0 if sample.isascii() else len(UNSPACED.findall(sample)) / max(1, len(sample)),
        replacement_characters=sample.count("\ufffd") / max(1, len(sample)),
        spaced_letters=sum(times for word, times in distinct.items() if len(word) == 1 and word.isalpha()) / count,
        vowelless=_vowelless(distinct),
    )


def _matching(distinct: Mapping[str, int], pattern: re.Pattern[str]) -> int:
    """How many words have the pattern, given how often each comes."""
    return sum(times for word, times in distinct.items() if pattern.search(word))


def _vowelless(distinct: Mapping[str, int]) -> float:
    plain = {word: times for word, times in distinct.items() if PLAIN_WORD.fullmatch(word)}
    count = sum(plain.values())
    return 1 - _matching(plain, VOWEL) / count if count >= FEWEST_WORDS else 0.0


def _repeated_lines(text: str) -> float:
    seen: set[str] = set()
    total = repeated = 0
    for line in text.split("\n"):
        stripped = line.strip()
        if LETTERS.search(stripped):
            total += len(stripped)
            if stripped in seen:
                repeated += len(stripped)
            seen.add(stripped)
    return repeated / max(1, total)


def _top_gram(words: list[str], characters: int) -> float:
    counts = Counter(zip(words, words[1:], words[2:], strict=False))
    often = [
        (times, sum(map(len, gram))) for gram, times in counts.items() if times > 2 and LETTERS.search("".join(gram))
    ]
    times, length = max(often, default=(0, 0))
    return length * times / characters


def _repeated_grams(words: list[str]) -> float:
    """Repetition as Gopher's duplicate n-grams, at its shortest n, which contains the longer ones."""
    seen: set[tuple[str, ...]] = set()
    inside = end = 0
    for start, gram in enumerate(zip(*(words[shift:] for shift in range(SHORTEST_GRAM)), strict=False)):
        if gram in seen:
            inside += start + SHORTEST_GRAM - max(end, start)
            end = start + SHORTEST_GRAM
        else:
            seen.add(gram)
    return inside / max(1, len(words))


def _is_mostly_one_word(quality: Quality) -> bool:
    return quality.longest_word > max(1000, 0.3 * quality.words * quality.word_length)


def broken_rule(quality: Quality, *, prose: bool = True) -> str | None:
    """Name of the first rule that a text breaks, if any; tables and code answer for blobs alone."""
    if quality.replacement_characters > 0.02:
        return "undecodable"
    if quality.unspaced < UNSPACED_TEXT and (quality.word_length > 40 or _is_mostly_one_word(quality)):
        return "encoded-blob"
    if quality.words < FEWEST_WORDS or not prose:
        return None
    if quality.alphabetic_words < 0.1:
        return "few-words"
    if quality.spaced_letters > 0.45:
        return "torn-letters"
    if quality.vowelless > 0.4:  # manuals and changelogs have 0.1 at most
        return "gibberish"
    if quality.repeated_lines > 0.7:
        return "repeated-lines"
    if quality.top_gram > 0.3 and quality.repeated_grams > 0.8:  # a checklist repeats a phrase among other words
        return "repeated-phrase"
    if quality.repeated_grams > 0.85:
        return "repeated-text"
    return None
