"""Personal values of 18 kinds in 8 locales, right by form and check digit, of ranges that belong to no one.

Reserved ranges: RFC 2606 (domains), RFC 5737, 3849 and 7042 (addresses), the numbers that Ofcom, NANPA,
Bundesnetzagentur, ARCEP and PTS keep for fiction, test cards of the schemes, test BICs (ISO 9362: location code with a
0), bank codes that no bank has, and national numbers that are never issued, each named where it is made.
"""

from collections.abc import Callable

from forge_dagster.sample.draw import Draw

UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
MONTHS = {
    "en": "January February March April May June July August September October November December".split(),
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember".split(),
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre".split(),
}
GERMAN_TAX_IDS = ("86095742719", "47036892816", "65929970489", "57549285017")  # published examples
WITHDRAWN_SSNS = ("078-05-1120", "219-09-9999")  # printed in advertisements, issued to no one since


def digits(draw: Draw, count: int) -> str:
    """That many digits."""
    return "".join(str(draw.below(10)) for _ in range(count))


def letters(draw: Draw, count: int, alphabet: str) -> str:
    """That many characters of an alphabet."""
    return "".join(draw.pick(alphabet) for _ in range(count))


def luhn_digit(number: str) -> str:
    """The digit that makes the Luhn sum a multiple of ten (ISO/IEC 7812-1)."""
    total = 0
    for place, digit in enumerate(reversed(number)):
        value = int(digit) * (1 if place % 2 else 2)
        total += value // 10 + value % 10
    return str(-total % 10)


def _grouped(text: str, sizes: tuple[int, ...], by: str) -> str:
    pieces, at = [], 0
    for size in sizes:
        pieces.append(text[at : at + size])
        at += size
    return by.join([*pieces, text[at:]]).rstrip(by)


def _email(draw: Draw, locale: str) -> str:
    first, last = (
        draw.pick(("anna", "tom", "lena", "j", "m.k", "sofia", "o'neil", "bjarne")),
        letters(draw, 7, "aeilnorst"),
    )
    domain = draw.pick(("example.com", "example.org", "mail.example.net", "corp.example", "north.example.co.uk"))
    return f"{first}{draw.pick(('.', '_', '-', '', '+'))}{last}@{domain}"


def _phone(draw: Draw, locale: str) -> str:
    two, three = digits(draw, 2), digits(draw, 3)
    forms = {
        "en_us": (f"({draw.between(201, 989)}) 555-01{two}", f"212-555-01{two}", f"+1 312 555 01{two}", f"415.555.01{two}"),
        "en_gb": (f"020 7946 0{three}", f"+44 20 7946 0{three}", f"01632 960{three}", f"07700 900{three}", f"(0161) 496 0{three}"),
        "de": (f"030 23125 {three}", f"+49 30 23125{three}", f"0171 39200{two}", f"069/90009-{three}", f"+49 (0)40 66969-{three}"),
        "fr": (f"01 99 00 {two} {digits(draw, 2)}", f"+33 1 99 00 {two} {digits(draw, 2)}", f"06.39.98.{two}.{digits(draw, 2)}"),
        "sv": (f"031-390 06 {two}", f"+46 8 465 004 {two}", f"08-465 004 {two}", f"070-174 06 {draw.between(10, 99)}"),
    }  # fmt: skip
    return draw.pick(forms[locale])


def _card(draw: Draw, locale: str) -> str:
    prefix, length, sizes = draw.pick((
        ("424242", 16, (4, 4, 4)), ("411111", 16, (4, 4, 4)), ("555555", 16, (4, 4, 4)), ("378282", 15, (4, 6)),
        ("601111", 16, (4, 4, 4)), ("305693", 14, (4, 6)), ("353011", 16, (4, 4, 4)), ("222300", 16, (4, 4, 4)),
    ))  # fmt: skip
    body = prefix + digits(draw, length - 1 - len(prefix))
    return _grouped(body + luhn_digit(body), sizes, draw.pick((" ", "-", "")))


def _iban(draw: Draw, locale: str) -> str:
    country, bank, rest = {
        "de": ("DE", "0" + digits(draw, 7), 10),  # no German bank code begins with 0
        "fr": ("FR", "99999", 18),
        "es": ("ES", "9999", 16),
        "it": ("IT", draw.pick(UPPER) + "99999", 17),
        "sv": ("SE", "999", 17),
        "nl": ("NL", "TEST", 10),
    }.get(locale, ("GB", "TEST", 14))
    account = bank + digits(draw, rest)
    number = "".join(str(int(character, 36)) for character in f"{account}{country}00")
    compact = f"{country}{98 - int(number) % 97:02}{account}"
    return _grouped(compact, (4,) * ((len(compact) - 1) // 4), " ") if draw.chance(70) else compact


def _bic(draw: Draw, locale: str) -> str:
    country = {"en_us": "US", "en_gb": "GB", "sv": "SE"}.get(locale, locale.upper())
    return letters(draw, 4, UPPER) + country + draw.pick(UPPER) + "0" + draw.pick(("", "X" * 3, "001"))


def _ip(draw: Draw, locale: str) -> str:
    last = draw.between(1, 254)
    return draw.pick((
        f"192.0.2.{last}", f"198.51.100.{last}", f"203.0.113.{last}", f"10.{draw.below(256)}.{draw.below(256)}.{last}",
        f"192.168.{draw.below(256)}.{last}", f"2001:db8:{draw.below(4096):x}::{last:x}",
        f"2001:db8:0:{draw.below(4096):x}:{draw.below(65536):x}:{draw.below(65536):x}:{draw.below(65536):x}:{last:x}",
    ))  # fmt: skip


def _mac(draw: Draw, locale: str) -> str:
    pairs = ["00", "00", "5e", "00", "53", f"{draw.below(256):02x}"]  # RFC 7042, documentation
    if draw.chance(50):
        pairs = ["02", *(f"{draw.below(256):02x}" for _ in range(5))]  # locally administered
    text = draw.pick((":", "-")).join(pairs)
    return text.upper() if draw.chance(50) else text


def _date(draw: Draw, locale: str) -> str:
    day, month, year = draw.between(1, 28), draw.between(1, 12), draw.between(1941, 2004)
    long = MONTHS.get(locale[:2])
    forms = {
        "en": (f"{day} {long and long[month - 1]} {year}", f"{long and long[month - 1]} {day}, {year}", f"{month:02}/{day:02}/{year}", f"{year}-{month:02}-{day:02}"),
        "de": (f"{day:02}.{month:02}.{year}", f"{day}. {long and long[month - 1]} {year}"),
        "fr": (f"{day:02}/{month:02}/{year}", f"{day} {long and long[month - 1]} {year}"),
        "es": (f"{day:02}/{month:02}/{year}",),
        "it": (f"{day:02}/{month:02}/{year}",),
        "nl": (f"{day:02}-{month:02}-{year}",),
    }  # fmt: skip
    return draw.pick(forms.get(locale[:2], (f"{year}-{month:02}-{day:02}",)))


def _coordinates(draw: Draw, locale: str) -> str:
    north, east = (
        f"{draw.between(50, 60)}.{digits(draw, 5)}",
        f"{draw.between(2, 7)}.{digits(draw, 5)}",
    )  # the North Sea
    return draw.pick((f"{north}, {east}", f"{north},{east}", f"{north}° N, {east}° E", f"{north}; {east}"))


def _passport(draw: Draw, locale: str) -> str:
    # Specimens begin so; numbers of nine zeros-first digits are not reached by any series.
    return draw.pick((f"C01X0{letters(draw, 4, '0123456789TLK')}", f"000{digits(draw, 6)}", f"X000{digits(draw, 5)}"))


def _ssn(draw: Draw, locale: str) -> str:
    return draw.pick((*WITHDRAWN_SSNS, f"987-65-432{draw.below(10)}"))  # kept for advertisements


def _nino(draw: Draw, locale: str) -> str:
    number = draw.pick(("AC", "AG", "AJ", "AN")) + digits(draw, 6) + draw.pick("ABCD")  # prefixes never allocated
    return _grouped(number, (2, 2, 2, 2), " ") if draw.chance(60) else number


def _nhs(draw: Draw, locale: str) -> str:
    while True:
        body = "999" + digits(draw, 6)  # test range
        check = -sum(int(digit) * weight for digit, weight in zip(body, range(10, 1, -1), strict=True)) % 11
        if check < 10:
            return _grouped(f"{body}{check}", (3, 3), draw.pick((" ", "-", "")))


def _german_tax_id(draw: Draw, locale: str) -> str:
    number = draw.pick(GERMAN_TAX_IDS)
    return _grouped(number, (2, 3, 3), " ") if draw.chance(60) else number


def _nir(draw: Draw, locale: str) -> str:
    # Commune 000 does not exist.
    body = f"{draw.between(1, 2)}{digits(draw, 2)}{draw.between(1, 12):02}{draw.between(21, 95)}000{digits(draw, 3)}"
    number = f"{body}{97 - int(body) % 97:02}"
    return _grouped(number, (1, 2, 2, 2, 3, 3), " ") if draw.chance(70) else number


def _dni(draw: Draw, locale: str) -> str:
    table = "TRWAGMYFPDXBNJZSQVHLCKE"
    if draw.chance(30):
        number = f"9999{digits(draw, 3)}"  # series Z has not come so far
        return f"Z{draw.pick(('', '-'))}{number}{draw.pick(('', '-'))}{table[int('2' + number) % 23]}"
    number = f"99{digits(draw, 6)}"  # not issued yet
    letter = table[int(number) % 23]
    return draw.pick((f"{number}{letter}", f"{number}-{letter}", f"{number[:2]}.{number[2:5]}.{number[5:]}-{letter}"))


def _codice_fiscale(draw: Draw, locale: str) -> str:
    consonants = "BCDFGLMNPRSTVZ"
    day = draw.between(1, 28) + (40 if draw.chance(50) else 0)
    place = f"Z0{digits(draw, 2)}"  # countries begin at Z100
    body = letters(draw, 6, consonants) + f"{draw.between(40, 99)}{draw.pick('ABCDEHLMPRST')}{day:02}{place}"
    odd = {**dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)),
           **dict(zip(UPPER, (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23), strict=True))}  # fmt: skip
    total = sum(odd[c] if at % 2 == 0 else (int(c) if c.isdigit() else UPPER.index(c)) for at, c in enumerate(body))
    return body + UPPER[total % 26]


def _personnummer(draw: Draw, locale: str) -> str:
    body = (
        f"{draw.between(10, 99)}{draw.between(1, 12):02}{draw.between(1, 28):02}98{draw.below(10)}"  # serial 980: tests
    )
    return draw.pick(("", "19")) + f"{body[:6]}-{body[6:]}{luhn_digit(body)}"


def _bsn(draw: Draw, locale: str) -> str:
    while True:
        body = f"9999{digits(draw, 4)}"  # test range
        check = sum(int(digit) * weight for digit, weight in zip(body, range(9, 1, -1), strict=True)) % 11
        if check < 10:
            return f"{body}{check}"


VALUES: dict[str, Callable[[Draw, str], str]] = {
    "EMAIL": _email,
    "PHONE": _phone,
    "CREDIT_CARD": _card,
    "IBAN": _iban,
    "BIC": _bic,
    "IP_ADDRESS": _ip,
    "MAC_ADDRESS": _mac,
    "PASSPORT": _passport,
    "DATE_OF_BIRTH": _date,
    "COORDINATES": _coordinates,
    "US_SSN": _ssn,
    "UK_NINO": _nino,
    "UK_NHS": _nhs,
    "DE_TAX_ID": _german_tax_id,
    "FR_NIR": _nir,
    "ES_DNI": _dni,
    "IT_FISCAL_CODE": _codice_fiscale,
    "SE_PERSONAL_NUMBER": _personnummer,
    "NL_BSN": _bsn,
}
"""How a value of each kind is made, by locale."""
NATIONAL = frozenset(list(VALUES)[list(VALUES).index("US_SSN") :])
"""Kinds that are national identity numbers."""
