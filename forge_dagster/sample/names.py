"""Names, part numbers and ports: the i-th of each is computed, so that no list of those in use is ever held.

Parts are taken from lists of different prime lengths, each walked through with a step of its own: by the Chinese
remainder theorem no combination comes twice before the product of the lengths is used up, and close neighbours differ
in every part.
"""

from collections.abc import Sequence

from forge_dagster.sample.draw import Draw

ONSETS = [
    "B",
    "Br",
    "C",
    "D",
    "Dr",
    "F",
    "Gl",
    "H",
    "J",
    "K",
    "L",
    "M",
    "N",
    "P",
    "Qu",
    "R",
    "S",
    "St",
    "T",
    "Tr",
    "V",
    "W",
    "Z",
]
STARTS = [onset + vowel for onset in ONSETS for vowel in "aeiou" if (onset, vowel) != ("Qu", "u")][:109]
MIDDLES = [
    "b",
    "br",
    "d",
    "dr",
    "l",
    "lb",
    "ldr",
    "lk",
    "lm",
    "lv",
    "m",
    "mb",
    "nd",
    "nn",
    "r",
    "rd",
    "rl",
    "rm",
    "rv",
    "sk",
    "st",
    "th",
    "v",
]
ENDS = [
    vowel + coda
    for vowel in "aeiou"
    for coda in [
        "n",
        "l",
        "r",
        "s",
        "x",
        "m",
        "nd",
        "rn",
        "st",
        "lt",
        "ck",
        "ne",
        "rk",
        "sk",
        "ft",
        "mp",
        "rt",
        "ss",
        "sh",
    ]
][:89]
FIRST_NAMES = [
    "Ada",
    "Bruno",
    "Carla",
    "Dario",
    "Edith",
    "Felix",
    "Greta",
    "Hugo",
    "Ines",
    "Jonas",
    "Klara",
    "Leon",
    "Mira",
    "Nils",
    "Olga",
    "Pavel",
    "Rosa",
    "Sven",
    "Tilda",
    "Ulf",
    "Vera",
    "Walter",
    "Yara",
    "Anton",
    "Berta",
    "Cyril",
    "Doris",
    "Emil",
    "Frida",
    "Gustav",
    "Hedda",
    "Ivan",
    "Judith",
    "Karel",
    "Lydia",
    "Marek",
    "Nadia",
    "Otto",
    "Petra",
    "Ralf",
    "Silke",
    "Tomas",
    "Ursula",
    "Viktor",
    "Wanda",
    "Xaver",
    "Zita",
    "Arne",
    "Bela",
    "Celia",
    "Denis",
    "Elsa",
    "Fabian",
    "Gerda",
    "Henrik",
    "Irma",
    "Jakob",
    "Kira",
    "Lars",
]
FAMILY_STARTS = [
    "Ahl",
    "Berg",
    "Brand",
    "Dahl",
    "Eich",
    "Falk",
    "Gold",
    "Hag",
    "Holm",
    "Kast",
    "Kron",
    "Lind",
    "Lund",
    "Mart",
    "Nord",
    "Oster",
    "Pohl",
    "Rand",
    "Ros",
    "Sand",
    "Sten",
    "Strand",
    "Tann",
    "Thor",
    "Ull",
    "Vest",
    "Wald",
    "West",
    "Wick",
    "Zand",
    "Adler",
    "Bach",
    "Korn",
]
FAMILY_ENDS = [
    "berg",
    "gren",
    "feld",
    "mann",
    "stein",
    "quist",
    "son",
    "by",
    "wall",
    "strom",
    "rud",
    "dorf",
    "haus",
    "beck",
    "hof",
    "vik",
    "lund",
    "ing",
    "er",
    "ek",
    "holt",
    "mark",
    "au",
    "eson",
    "ley",
    "ton",
    "more",
    "well",
    "sen",
    "strup",
    "heim",
    "bach",
    "stad",
    "nes",
]
FAMILY_NAMES = [start + end for start in FAMILY_STARTS for end in FAMILY_ENDS][:1109]
LETTERS = "ABCDEFGHJKLMNPQRSTVWXZ"
LETTER_PAIRS = [first + second for first in LETTERS for second in LETTERS][:479]


def _walk(seed: int, label: str, index: int, size: int) -> int:
    """Return place `index` of an endless walk over 0 .. size-1 with a seeded step; `size` is a prime."""
    draw = Draw(seed, "walk", label)
    start, step = draw.below(size), draw.between(2, size - 2)
    return (start + index * step) % size


def _from(items: Sequence[str], seed: int, label: str, index: int) -> str:
    return items[_walk(seed, label, index, len(items))]


def word(seed: int, index: int) -> str:
    """Return the index-th invented word; 223,123 differ."""
    return "".join(_from(items, seed, f"word {n}", index) for n, items in enumerate((STARTS, MIDDLES, ENDS)))


def person(seed: int, index: int) -> str:
    """Return the index-th first and family name; 65,431 differ."""
    return f"{_from(FIRST_NAMES, seed, 'first', index)} {_from(FAMILY_NAMES, seed, 'family', index)}"


def part_number(seed: int, index: int) -> str:
    """Return the index-th part number, as QT-41; 42,631 differ."""
    return f"{_from(LETTER_PAIRS, seed, 'letters', index)}-{10 + _walk(seed, 'digits', index, 89)}"


def port(seed: int, index: int) -> str:
    """Return the index-th port number; 8,999 differ."""
    return str(1000 + _walk(seed, "port", index, 8999))
