"""Personal data of structured kinds, found by form and check digit; names are not among them."""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from forge_dagster.corpus import check_digits as check

Valid = Callable[[str], bool]
FEW_DIGITS = re.compile(
    r"\d(?:\D*\d){4}|(?:[0-9A-Fa-f]{2}[:-]){3}|::|@|(?:BIC|SWIFT|passp|passe|pasap|paspo|passn|reisep)", re.IGNORECASE
)
"""A line without any of these holds nothing that a detector finds."""
LARGE_OCTET = 32
LONGEST_HEAD = 60  # characters of a column's head that announce what the column holds
START = r"(?<![\w.+/-])"  # a number inside a longer word, path or part number is none
BEFORE = r"(?<![\w-])"
AFTER = r"(?![\w-])"
TELEPHONE_NEEDS = (
    "tel",
    "tél",
    "phon",
    "fon",
    "mob",
    "móv",
    "cel",
    "port",
    "fax",
    "hotl",
    "call",
    "ring",
    "ruf",
    "handy",
    "durchw",
)
BETWEEN = r"[\s:#.=\"'(|*_°]"
LABELLED = rf"{BETWEEN}{{0,4}}(?:-?(?:is|are|ist|lautet|est|es|è|är|le|la|no|nr|n|number|nummer|num[ée]ro|n[úu]mero|code|met|con)\b{BETWEEN}{{0,3}}){{0,3}}{BETWEEN}{{0,4}}"
"""What may stand between an announcement and its value: marks, and the few words that lead on to it."""
COUNTRY = r"(?:A[DELOTUZ]|B[AEGHRY]|C[AHNORYZ]|D[EKZ]|E[EGS]|F[IOR]|G[BEILR]|H[KRU]|I[DELNST]|JP|K[RWZ]|L[BITUVY]|M[ACDEKTUXY]|N[GLOZ]|P[AEHKLTY]|QA|R[OSU]|S[AEGIKM]|T[HNRW]|U[ASY]|V[AGN]|XK|ZA)"
"""Countries of the larger part of all banks (ISO 3166)."""


@dataclass(frozen=True)
class Detector:
    """One kind: what must stand in a line in small letters, the form, and the test that tells it from other numbers.

    If the pattern has a group `value`, that alone is personal; what announces it stays.
    """

    kind: str
    pattern: re.Pattern[str]
    needs: tuple[str, ...] = ()
    valid: Valid = bool


def _ip(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified or address.is_multicast or text.startswith("255."))


def _ip4(text: str) -> bool:
    """Numbers of sections and versions have four small parts too: one part has to be larger."""
    return _ip(text) and max(map(int, text.split("."))) >= LARGE_OCTET


def _ip6(text: str) -> bool:
    return text.count(":") >= 2 and (text.count(":") >= 4 or "::" in text) and len(text) > 6 and _ip(text)


def _phone(text: str) -> bool:
    number = check.digits(text)
    return 7 <= len(number) <= 15 and len(set(number)) > 2


def _email(text: str) -> bool:
    local, _, domain = text.partition("@")
    return (
        len(local) <= 64 and len(domain) <= 253 and not domain.lower().endswith((".png", ".jpg", ".svg", ".css", ".js"))
    )


def _find(pattern: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(pattern, flags)


I = re.IGNORECASE  # noqa: E741
TELEPHONE = r"(?:tele?(?:phone|fon|fono|foon)?(?:nummer)?|t[ée]l(?:[ée]phone|[ée]fono)?|phone|mobile?|mobil|m[óo]vil|cell(?:ulare)?|portable|fax|hotline|call|ring|rufnummer|handy|durchwahl|rückruf)"
MONTHS = r"(?:jan|gen|ene|f[eé][bvw]|m[aäá]r|a[pbv]r|ma[iyg]|mei|jui?[nl]|giu|lug|a[ug][ugo]|ao[uû]|sep|set|o[ckt]t|out|nov|d[eéi][czs])[a-zà-ÿ]*\.?"
DATE = rf"(?:\d{{1,2}}[./-]\d{{1,2}}[./-]\d{{2,4}}|\d{{4}}-\d{{2}}-\d{{2}}|\d{{1,2}}\.?\s{MONTHS}\s\d{{4}}|{MONTHS}\s\d{{1,2}},?\s\d{{4}})"
BORN = r"(?:date of birth|birth ?date|born(?: on)?|d\.?o\.?b\.?|geburtsdatum|geboren(?: am)?|geb\.(?: am)?|née? le|date de naissance|fecha de nacimiento|data di nascita|nat[oa] il|födelsedatum|född(?: den)?|geboortedatum|geboren op|nacid[oa] el|data de nascimento|nascid[oa] em|data urodzenia|syntymäaika)"

DETECTORS = (
    Detector("EMAIL", _find(r"(?<![\w.+-])[\w.+%'-]{1,64}@(?:[\w-]{1,63}\.){1,8}[^\W\d_]{2,24}(?![\w-])"), ("@",), _email),
    Detector(
        "IBAN",
        _find(r"(?<![\w])[A-Z]{2}\d{2}(?:[ -]?[A-Z0-9]{4}){2,7}(?:[ -]?[A-Z0-9]{1,4})?(?!\w)", I),
        (),
        check.iban,
    ),
    Detector("CREDIT_CARD", _find(rf"{START}[2-6]\d{{3}}(?:[ -]?\d{{2,6}}){{2,4}}(?![\w-])"), (), check.payment_card),
    Detector("IP_ADDRESS", _find(r"(?<![\w.:-])(?<!v )(?<!version )(?:\d{1,3}\.){3}\d{1,3}(?![\w-]|\.\d)"), (".",), _ip4),
    Detector(
        "IP_ADDRESS",
        _find(r"\b(?:ip|ipv4|address|addresses|host|servers?|gateway|dns|name-?servers?|ping|peer|routers?|range|route|listen|bind|ssh|curl)\b[^\n\d\[]{0,20}(?P<value>(?:\d{1,3}\.){3}\d{1,3})(?![\w-]|\.\d)", I),
        (".",),
        _ip,
    ),
    Detector(
        "IP_ADDRESS",
        _find(r"(?:(?<=://)|(?<=@)|(?<=\[))(?:\d{1,3}\.){3}\d{1,3}(?=[\]:/\s]|$)|(?<![\w.:-])(?<!v )(?:\d{1,3}\.){3}\d{1,3}(?=:\d{2,5}\b|/[123]?\d\b)"),
        (".",),
        _ip,
    ),
    Detector(
        "IP_ADDRESS",
        _find(r"(?<![\w:.])(?:[0-9A-F]{0,4}:){2,7}[0-9A-F]{1,4}(?![\w:])", I),
        (":",),
        _ip6,
    ),
    Detector("MAC_ADDRESS", _find(rf"{BEFORE}[0-9A-F]{{2}}(?:([:-])[0-9A-F]{{2}})(?:\1[0-9A-F]{{2}}){{4}}(?![\w:-])", I), (":", "-")),
    Detector("NATIONAL_ID", _find(rf"{START}\d{{3}}([- ])\d{{2}}\1\d{{4}}{AFTER}"), ("-", " "), check.us_ssn),
    Detector("NATIONAL_ID", _find(rf"{START}9\d\d-\d\d-\d{{4}}{AFTER}"), ("-",), check.us_itin),
    Detector(
        "NATIONAL_ID",
        _find(rf"\b(?:ssn|social security|ein|employer identification|itin|tax ?id)\b{LABELLED}(?P<value>\d{{3}}[- ]?\d{{2}}[- ]?\d{{4}}|\d{{2}}-\d{{7}}){AFTER}", I), ("ssn", "social", "ein", "employer", "itin", "tax"),
    ),
    Detector(
        "NATIONAL_ID",
        _find(rf"{BEFORE}[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{{2}} ?\d{{2}} ?\d{{2}} ?[A-D]{AFTER}", I),
        (),
        check.uk_nino,
    ),
    Detector("NATIONAL_ID", _find(rf"\bNHS\b[^\n\d\[]{{0,24}}(?P<value>\d{{3}}[ -]?\d{{3}}[ -]?\d{{4}}){AFTER}", I), ("nhs",), check.uk_nhs),
    Detector(
        "NATIONAL_ID",
        _find(rf"{START}[1-9]\d(?: ?\d{{3}}){{3}}{AFTER}"),
        (),
        check.german_tax_id,
    ),
    Detector(
        "NATIONAL_ID",
        _find(rf"{BEFORE}[12] ?\d{{2}} ?(?:0[1-9]|1[0-2]|[2-9]\d) ?(?:\d{{2}}|2[AB]) ?\d{{3}} ?\d{{3}} ?\d{{2}}{AFTER}", I),
        (),
        check.french_nir,
    ),
    Detector("NATIONAL_ID", _find(rf"{BEFORE}(?:\d{{8}}|\d{{2}}\.\d{{3}}\.\d{{3}}|[XYZ][- ]?\d{{7}})[- ]?[A-Z]{AFTER}", I), (), check.spanish_id),
    Detector(
        "NATIONAL_ID",
        _find(rf"{BEFORE}[A-Z]{{3}} ?[A-Z]{{3}} ?\d{{2}}[A-EHLMPRST]\d{{2}} ?[A-Z]\d{{3}}[A-Z]{AFTER}", I),
        (),
        check.italian_fiscal_code,
    ),
    Detector("NATIONAL_ID", _find(rf"{START}(?:19|20)?\d{{6}}[-+]\d{{4}}{AFTER}"), ("-", "+"), check.swedish_personal_number),
    Detector("NATIONAL_ID", _find(rf"\b(?:BSN|burgerservicenummer|sofinummer)\b{LABELLED}(?P<value>\d{{9}}|\d{{4}}[. ]\d{{2}}[. ]\d{{3}}|\d{{3}}[. ]\d{{3}}[. ]\d{{3}}){AFTER}", I), ("bsn", "burger", "sofi"), check.dutch_bsn),
    Detector("PASSPORT", _find(rf"\b(?:passport|passeport|reisepass|pasaporte|passaporto|paspoort|passaporte|pass(?:nummer|-nr))\b{LABELLED}(?P<value>(?=[A-Z]{{0,2}}\d|[A-Z0-9]{{0,8}}\d)(?:[A-Z]{{0,2}}\d{{6,9}}|[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{{8}})){AFTER}", I), ("pass", "pasap", "paspo")),
    Detector("BIC", _find(rf"\b(?:(?-i:BIC|Bic|SWIFT)|swift[ -]code)\b(?:{BETWEEN}?(?:/|-)?{BETWEEN}?(?:BIC|SWIFT|code))*{LABELLED}(?P<value>(?-i:[A-Z]{{4}}{COUNTRY}[A-Z0-9]{{2}}(?:[A-Z0-9]{{3}})?))(?!\w)", I), ("bic", "swift")),
    Detector("DATE_OF_BIRTH", _find(rf"\b{BORN}{LABELLED}(?P<value>{DATE})(?!\w)", I), ("born", "birth", "b.", "dob", "geb", "naiss", "née", "né ", "nac", "nasc", "nat", "föd", "urodz", "synty")),
    Detector("COORDINATES", _find(r"(?<![\w.])-?(?:[0-8]?\d)\.\d{4,}(?:\s?°)?(?:\s?[NS])?\s?[,;]\s?-?(?:1[0-7]\d|\d{1,2})\.\d{4,}(?:\s?°)?(?:\s?[EW]\b)?(?![\w.]*\d)"), (".",)),
    Detector("PHONE", _find(r"(?<![\w+.-])(?:\+|00(?=[1-9]))[1-9]\d{0,2}[ .()/-]{0,3}(?:\d[ .()/-]{0,2}){6,12}\d(?![\w-])"), ("+", "00"), _phone),
    Detector("PHONE", _find(r"(?<![\w.-])(?:1[ .-])?(?:\([2-9]\d\d\) ?|[2-9]\d\d[-.])[2-9]\d\d[-.]\d{4}(?![\w-]|\.\d)"), ("-", ".", " "), _phone),
    Detector("PHONE", _find(r"(?<![\w+./-])0[1-9](?:([ .])\d\d)(?:\1\d\d){3}(?![\w-]|[ .]\d)"), ("0",), _phone),
    Detector("PHONE", _find(r"(?<![\w+./-])(?:\(0\d{2,4}\) ?\d{3,4} \d{3,4}|020 \d{4} \d{4}|0[17]\d{3} \d{6}|0\d{3} \d{3} \d{4})(?![\w-]|[ .]\d)"), ("0",), _phone),
    Detector("PHONE", _find(r"(?<![\w+./-])0[1-9]\d{1,3}[ /]\d{5,8}(?:[ -]\d{1,4})?(?![\w-]|[ .]\d)"), ("0",), _phone),
    Detector("PHONE", _find(r"(?<![\w+./-])0\d{1,3}-\d{2,3} \d{2,3}(?: \d{2,3})?(?![\w-]|[ .]\d)"), ("0",), _phone),
    Detector("PHONE", _find(rf"\b{TELEPHONE}\b[^\n\d+\[]{{0,20}}(?P<value>\(?\d[\d ()./-]{{5,18}}\d)(?![\w-])", I), TELEPHONE_NEEDS, _phone),
)  # fmt: skip


ANNOUNCED = tuple(detector for detector in DETECTORS if "value" in detector.pattern.groupindex)
"""Detectors of values that what stands before them gives away: in a table, the head of the column."""
TABLE_HEAD = re.compile(r"\|?\s*:?-{3,}:?\s*(?:\|\s*:?-{3,}:?\s*)+\|?")


def spans(text: str) -> list[tuple[str, int, int]]:
    """Kind, start and end of everything found, in characters; they may overlap."""
    found: list[tuple[str, int, int]] = []
    head: list[str] = []
    before = ""
    start = 0
    for line in text.split("\n"):
        if "|" not in line:
            head = []
        elif "---" in line and TABLE_HEAD.fullmatch(line.strip()):
            head = before.split("|")
        elif head and any(map(str.isdigit, line)):
            found += [(kind, start + first, start + last) for kind, first, last in _in_row(head, line.split("|"))]
        if FEW_DIGITS.search(line):
            found += [(kind, start + first, start + last) for kind, first, last in _in_line(line)]
        before = line
        start += len(line) + 1
    return found


def _in_row(head: list[str], cells: list[str]) -> Iterator[tuple[str, int, int]]:
    """Values of a row that the head of their column announces."""
    at = 0
    for name, cell in zip(head, cells, strict=False):
        announced = f"{name.strip()[:LONGEST_HEAD]}: {cell.strip()}"
        begins = at + len(cell) - len(cell.lstrip()) - (len(announced) - len(cell.strip()))
        for detector in ANNOUNCED if cell.strip() else ():
            for match in detector.pattern.finditer(announced):
                if detector.valid(match["value"]):
                    yield detector.kind, begins + match.start("value"), begins + match.end("value")
        at += len(cell) + 1


def _in_line(line: str) -> Iterator[tuple[str, int, int]]:
    lowered = line.lower()
    for detector in DETECTORS:
        if detector.needs and not any(mark in lowered for mark in detector.needs):
            continue
        group = "value" if "value" in detector.pattern.groupindex else 0
        for match in detector.pattern.finditer(line):
            if detector.valid(match[group]):
                yield detector.kind, *match.span(group)
