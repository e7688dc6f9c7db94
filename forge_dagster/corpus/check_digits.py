"""Check digits of card, account and national numbers: what tells them from other numbers."""

import re

IBAN_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "BA": 20, "BE": 16, "BG": 22, "CH": 21, "CY": 28, "CZ": 24, "DE": 22,
    "DK": 18, "EE": 20, "ES": 24, "FI": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27,
    "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IS": 26, "IT": 27, "KW": 30, "LI": 21, "LT": 20, "LU": 20, "LV": 21,
    "MC": 27, "MD": 24, "ME": 22, "MK": 19, "MT": 31, "NL": 18, "NO": 15, "PL": 28, "PT": 25, "QA": 29, "RO": 24,
    "RS": 22, "SA": 24, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "TN": 24, "TR": 26, "UA": 29,
}  # fmt: skip
CARDS = {
    "4": (16, 19),
    "5[1-5]|2[2-7]|35": (16,),
    "3[47]": (15,),
    "3[0689]": (14, 16, 19),
    "6011|6[245]": (16, 17, 18, 19),
    "50|5[6-9]|6[37]": tuple(range(14, 20)),
}
"""Prefixes and lengths that card schemes issue (ISO/IEC 7812); 13 digits are a barcode (EAN-13) sooner than a card."""
DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
ODD = {
    **dict(zip("0123456789", (1, 0, 5, 7, 9, 13, 15, 17, 19, 21), strict=True)),
    **dict(zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ",
               (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
               strict=True)),
}  # fmt: skip
"""Values of characters at odd places of an Italian codice fiscale (Ministerial Decree 23 December 1976)."""


def digits(text: str) -> str:
    """Digits of a text, without the separators between them."""
    return re.sub(r"\D", "", text)


def luhn(text: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits(text)))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0


def payment_card(text: str) -> bool:
    """A length and prefix that a card scheme issues, and the Luhn digit."""
    number = digits(text)
    issued = any(re.match(prefix, number) and len(number) in lengths for prefix, lengths in CARDS.items())
    return issued and len(set(number)) > 1 and luhn(number)


def iban(text: str) -> bool:
    """ISO 13616: the country's length, and the remainder by 97."""
    compact = re.sub(r"[\s-]", "", text).upper()
    if IBAN_LENGTHS.get(compact[:2]) != len(compact):
        return False
    return int("".join(str(int(character, 36)) for character in compact[4:] + compact[:4])) % 97 == 1


def us_ssn(text: str) -> bool:
    """Areas, groups and serials that the Social Security Administration issues."""
    number = digits(text)
    area, group, serial = number[:3], number[3:5], number[5:]
    return area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"


def us_itin(text: str) -> bool:
    """Begins with 9; the group lies in the ranges that the Internal Revenue Service issues."""
    number = digits(text)
    group = int(number[3:5])
    return number[0] == "9" and (50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99)


def uk_nino(text: str) -> bool:
    """Prefixes that HM Revenue and Customs issues."""
    compact = re.sub(r"\s", "", text).upper()
    return compact[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")


def uk_nhs(text: str) -> bool:
    """Modulus 11 with weights 10 to 2."""
    number = digits(text)
    check = 11 - sum(int(digit) * weight for digit, weight in zip(number, range(10, 1, -1), strict=False)) % 11
    return len(number) == 10 and check != 10 and check % 11 == int(number[9])


def german_tax_id(text: str) -> bool:
    """ISO 7064 MOD 11,10; of the first ten digits one comes twice or thrice."""
    number = digits(text)
    if len(number) != 11 or number[0] == "0" or len(set(number[:10])) not in (8, 9):
        return False
    product = 10
    for digit in number[:10]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(number[10])


def french_nir(text: str) -> bool:
    """97 less the remainder; Corsican departments count as 19 and 18."""
    compact = re.sub(r"\s", "", text).upper().replace("2A", "19").replace("2B", "18")
    return len(compact) == 15 and compact.isdigit() and 97 - int(compact[:13]) % 97 == int(compact[13:])


def spanish_id(text: str) -> bool:
    """DNI and NIE: the letter is the remainder by 23."""
    compact = re.sub(r"[\s.-]", "", text).upper()
    number = compact[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdigit() and DNI_LETTERS[int(number) % 23] == compact[-1]


def italian_fiscal_code(text: str) -> bool:
    """The last letter is the sum of all others by place."""
    code = re.sub(r"\s", "", text).upper()
    total = sum(ODD[c] if place % 2 == 0 else int(c, 36) % 10 if c.isdigit() else ord(c) - 65
                for place, c in enumerate(code[:15]))  # fmt: skip
    return chr(65 + total % 26) == code[15]


def swedish_personal_number(text: str) -> bool:
    """A date, and the Luhn digit over the last ten."""
    number = digits(text)[-10:]
    month, day = int(number[2:4]), int(number[4:6])
    return 1 <= month <= 12 and (1 <= day <= 31 or 61 <= day <= 91) and luhn(number)


def dutch_bsn(text: str) -> bool:
    """The eleven test: weights 9 to 2, and -1."""
    number = digits(text)
    weights = (9, 8, 7, 6, 5, 4, 3, 2, -1)
    return len(number) == 9 and sum(int(d) * w for d, w in zip(number, weights, strict=True)) % 11 == 0
