"""Numbers and names that look personal or secret and are not: what precision is measured on."""

import re
from collections.abc import Callable

from forge_dagster.sample.dirt.credentials import BASE64, DIGITS, HEX, UPPER
from forge_dagster.sample.dirt.marks import DECOY, mark
from forge_dagster.sample.dirt.page import wordings
from forge_dagster.sample.dirt.personal import digits, letters, luhn_digit
from forge_dagster.sample.draw import Draw

SLOT = re.compile(r"\{(\w+)\}")


def _uuid(draw: Draw) -> str:
    return "-".join(letters(draw, size, HEX) for size in (8, 4, 4, 4, 12))


def _date(draw: Draw) -> str:
    return f"{draw.between(2015, 2025)}-{draw.between(1, 12):02}-{draw.between(1, 28):02}"


def _not_luhn(draw: Draw) -> str:
    body = "4" + digits(draw, 14)
    number = body + str((int(luhn_digit(body)) + draw.between(1, 9)) % 10)
    return " ".join(number[at : at + 4] for at in range(0, 16, 4))


DECOYS: dict[str, Callable[[Draw], str]] = {
    "part": lambda draw: draw.pick((f"{letters(draw, 2, UPPER)}-{digits(draw, 4)}-{digits(draw, 2)}", f"{digits(draw, 3)}.{digits(draw, 3)}.{digits(draw, 2)}", f"6{digits(draw, 3)}-2RS{draw.below(10)}")),
    "version": lambda draw: draw.pick((f"{draw.below(20)}.{draw.below(30)}.{draw.below(30)}.{draw.below(31)}", f"v{draw.below(20)}.{draw.below(30)}.{draw.below(300)}", f"{draw.between(1, 9)}.{draw.below(99)}")),
    "section": lambda draw: ".".join(str(draw.between(1, 24)) for _ in range(draw.between(3, 4))),
    "order": lambda draw: draw.pick((digits(draw, 8), f"45{digits(draw, 8)}", f"PO-{digits(draw, 6)}-{digits(draw, 3)}")),
    "hash": lambda draw: letters(draw, 64, HEX),
    "commit": lambda draw: letters(draw, draw.pick((7, 40)), HEX),
    "build": lambda draw: f"{_date(draw)}.{draw.between(1, 40)}",
    "uuid": _uuid,
    "serial": lambda draw: draw.pick((f"SN {digits(draw, 4)}-{digits(draw, 4)}-{digits(draw, 4)}", f"{digits(draw, 3)} {digits(draw, 6)} {digits(draw, 2)}", _not_luhn(draw), f"{letters(draw, 3, UPPER)}{digits(draw, 9)}")),
    "small": lambda draw: f"{draw.between(1, 400)}.{draw.below(100)}",
    "batch": lambda draw: f"{draw.between(20, 25)}{digits(draw, 4)}-{digits(draw, 4)}-{letters(draw, 1, UPPER)}",
    "time": lambda draw: f"{draw.below(24):02}:{draw.below(60):02}:{draw.below(60):02}",
    "invoice": lambda draw: f"{draw.between(2015, 2025)}-{digits(draw, 2)}-{digits(draw, 4)}",
    "amount": lambda draw: f"{draw.between(1, 99)},{digits(draw, 3)}.{digits(draw, 2)}",
    "drawing": lambda draw: f"{digits(draw, 3)}-{digits(draw, 2)}-{digits(draw, 3)}",
    "isbn": lambda draw: f"978-{draw.below(10)}-{digits(draw, 3)}-{digits(draw, 5)}-{draw.below(10)}",
    "ean": lambda draw: f"40{digits(draw, 11)}",
    "job": lambda draw: digits(draw, draw.between(9, 12)),
    "code": lambda draw: f"E{digits(draw, 3)}",
    "ticket": lambda draw: f"#{digits(draw, 6)}",
    "list": lambda draw: ", ".join(str(draw.below(1000)) for _ in range(8)),
    "date": _date,
    "tracking": lambda draw: f"JJD{letters(draw, 18, DIGITS)}",
    "base64": lambda draw: letters(draw, 86, BASE64) + "==",
}  # fmt: skip


def technical(draw: Draw) -> str:
    """A sentence with such values, each marked."""
    sentence = draw.pick(wordings("technical")["says"])
    return SLOT.sub(lambda slot: mark(DECOY + slot[1], DECOYS[slot[1]](draw)), sentence)


def reference(draw: Draw) -> str:
    """A line of references without words of any language."""
    kinds = draw.sample(("order", "uuid", "invoice", "ticket", "part"), 2)
    return "Ref. " + " / ".join(mark(DECOY + kind, DECOYS[kind](draw)) for kind in kinds)
