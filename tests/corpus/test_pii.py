"""Personal data of fifteen kinds is found in running text; numbers of other kinds are let be."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_dagster.corpus import check_digits, pii
from forge_dagster.corpus.redact import redact

VALUES = {
    "EMAIL": ["anna.berg+stores@mail.example.org", "o'neill@example.co.uk", "jürgen@müller-söhne.de"],
    "IBAN": ["DE89 3704 0044 0532 0130 00", "GB82WEST12345698765432", "FR14 2004 1010 0505 0001 3M02 606"],
    "CREDIT_CARD": ["4111 1111 1111 1111", "378282246310005", "6011-1111-1111-1117"],
    "IP_ADDRESS": ["192.168.17.4", "2001:db8:85a3::8a2e:370:7334"],
    "MAC_ADDRESS": ["00:1A:2B:3C:4D:5E", "00-1a-2b-3c-4d-5e"],
    "NATIONAL_ID": [
        "219-09-9999",  # United States
        "AB 12 34 56 C",  # United Kingdom
        "86 095 742 719",  # Germany
        "1 84 12 76 451 089 46",  # France
        "12345678Z",  # Spain
        "X1234567L",
        "RSSMRA85T10A562S",  # Italy
        "811218-9876",  # Sweden
    ],
    "COORDINATES": ["53.55112, 9.99368"],
    "PHONE": [
        "+49 40 1234567",
        "(212) 555-0147",
        "0044 20 7946 0958",
        "020 7946 0958",
        "01632 960123",
        "01 99 00 12 34",
        "06.39.98.12.34",
        "0171 3920012",
        "031-390 06 12",
    ],
}
ANNOUNCED = {
    "NHS number: 943 476 5919": ("NATIONAL_ID", "943 476 5919"),
    "BSN 111222333": ("NATIONAL_ID", "111222333"),
    "Passport no. C01X00T47": ("PASSPORT", "C01X00T47"),
    "BIC: DEUTDEFF500": ("BIC", "DEUTDEFF500"),
    "date of birth 14 March 1971": ("DATE_OF_BIRTH", "14 March 1971"),
    "geboren am 03.11.1968": ("DATE_OF_BIRTH", "03.11.1968"),
    "Tel. 040 / 123 45 67": ("PHONE", "040 / 123 45 67"),
    "Le code BIC est OVMMITB0XXX": ("BIC", "OVMMITB0XXX"),
    "The passport number is X00091807": ("PASSPORT", "X00091807"),
    "Het paspoort met nummer 000620898": ("PASSPORT", "000620898"),
    "Madame Lefort, née le 21 juillet 1961": ("DATE_OF_BIRTH", "21 juillet 1961"),
    "geb. am: 23. August 2001": ("DATE_OF_BIRTH", "23. August 2001"),
    "option routers 10.5.5.1": ("IP_ADDRESS", "10.5.5.1"),
    "http://10.1.2.3:8080/status": ("IP_ADDRESS", "10.1.2.3"),
    "**NHS number:** 999 454 4500": ("NATIONAL_ID", "999 454 4500"),
}
OTHERS = [
    "Section 3.2.1.4 says how version 1.2.3.4 differs from 10.1.2.3-1.",
    "Part 4111-2222-3333 fits pump 4711; torque 12.5 Nm, 1500 rpm, 230 V.",
    "Order 12345678 of 2024-03-14, invoice 900-12-3456-7.",
    "The hash is 4d5e6f708192a3b4c5d6e7f8091a2b3c4d5e6f70.",
    "Listen on 127.0.0.1, mask 255.255.255.0, not 0.0.0.0.",
    "From 10:30:00 to 12:45:15 on weekdays; see std::vector and a::b.",
    "Serial 4111 1111 1111 1112 and GB82 WEST 1234 5698 7654 33 have a wrong check digit.",
    "decorator @property, package foo@1.2.3, image icon@2x.png",
    "array[3] = {1, 2, 3, 5, 8, 13, 21, 34, 55, 89}",
    "The barcode reads 4071045880801, the drawing is 012-34-567.",
    "The rate was swift. DOCUMENT and SCHEDULE were filed in the passport office, room 12.",
]


@pytest.mark.parametrize(("kind", "value"), [(kind, value) for kind, values in VALUES.items() for value in values])
@pytest.mark.parametrize("frame", ["{}", "Write to {} today.", "contact:\t{};", "({})", "| {} | pumps |", '"{}",'])
def test_a_value_is_replaced_and_nothing_else(kind: str, value: str, frame: str):
    text, spans = redact(frame.format(value))
    assert text == frame.format(f"[{kind}]")
    assert [span.kind for span in spans] == [kind]


@pytest.mark.parametrize(("text", "found"), ANNOUNCED.items())
def test_what_is_announced_is_replaced_and_the_announcement_stays(text: str, found: tuple[str, str]):
    kind, value = found
    assert redact(f"He said: {text}, then left.")[0] == f"He said: {text.replace(value, f'[{kind}]')}, then left."


@pytest.mark.parametrize(
    "table",
    [
        "Name | BSN | Born on\n--- | --- | ---\nA B | 999996939 | 01-05-1948\n",
        "| Name | BSN | Born on |\n| --- | :---: | --- |\n| A B | 999996939 | 01-05-1948 |\n",
    ],
)
def test_the_head_of_a_column_announces_what_the_column_holds(table: str):
    assert redact(table)[0] == table.replace("999996939", "[NATIONAL_ID]").replace("01-05-1948", "[DATE_OF_BIRTH]")
    after = f"{table}\nOrder 999996939 of 01-05-1948 | done"
    assert redact(after)[0].endswith("Order 999996939 of 01-05-1948 | done"), "the table has ended"


@pytest.mark.parametrize("text", OTHERS)
def test_other_numbers_stay(text: str):
    assert redact(text) == (text, [])


@given(st.integers(0, 10**14 - 1))
def test_one_digit_of_fifteen_has_the_luhn_check(number: int):
    assert sum(check_digits.luhn(f"{number:014}{digit}") for digit in range(10)) == 1


@given(st.integers(0, 10**10 - 1), st.integers(0, 98))
def test_one_of_97_check_numbers_fits_an_iban(account: int, other: int):
    body = f"{37040044:08}{account:010}"
    check = 98 - int(f"{body}131400") % 97
    assert check_digits.iban(f"DE{check:02}{body}")
    assert check_digits.iban(f"DE{other:02}{body}") == (other % 97 == check % 97)


@pytest.mark.parametrize(
    ("valid", "number"),
    [
        (check_digits.uk_nhs, "9434765919"),
        (check_digits.german_tax_id, "86095742719"),
        (check_digits.french_nir, "184127645108946"),
        (check_digits.dutch_bsn, "111222333"),
        (check_digits.swedish_personal_number, "8112189876"),
    ],
)
def test_no_other_last_digit_fits(valid: pii.Valid, number: str):
    assert [valid(f"{number[:-1]}{digit}") for digit in range(10)].count(True) == 1
    assert valid(number)


@given(st.text(max_size=300))
def test_spans_lie_in_order_and_never_overlap(text: str):
    redacted, spans = redact(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)
    assert all(first.end <= second.start for first, second in pairwise(spans))
    assert bool(spans) == (redacted != text)


def test_a_page_of_thousands_of_values_is_quick():
    text = "\n".join(f"user{number}@example.org 10.1.{number % 250}.77" for number in range(20_000))
    redacted, spans = redact(text)
    assert len(spans) == 40_000
    assert "example.org" not in redacted
