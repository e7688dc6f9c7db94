"""roff escapes as the characters they print."""

import re

NAMED = {
    "bu": "*", "co": "(c)", "rg": "(R)", "tm": "(TM)", "aq": "'", "dq": '"', "lq": "\u201c", "rq": "\u201d", "oq": "\u2018",
    "cq": "\u2019", "em": "\u2014", "en": "\u2013", "hy": "-", "mi": "-", "pl": "+", "mu": "x", "ha": "^", "ti": "~",
    "ga": "`", "aa": "'", "rs": "\\", "sl": "/", "ba": "|", "bv": "|", "at": "@", "sh": "#", "Do": "$", "Eu": "EUR",
    "lB": "[", "rB": "]", "lC": "{", "rC": "}", "la": "<", "ra": ">", "<=": "<=", ">=": ">=", "!=": "!=", "==": "==",
    "->": "->", "<-": "<-", "<>": "<->", "da": "v", "ua": "^", "de": "\u00b0", "12": "1/2", "14": "1/4", "34": "3/4",
    "+-": "+-", "no": "not", "ss": "\u00df", "ae": "\u00e6", "oe": "\u0153", "AE": "\u00c6", "OE": "\u0152", "sc": "\u00a7",
    "ps": "\u00b6", "ct": "\u00a2", "Po": "\u00a3", "Ye": "\u00a5", "Fo": "\u00ab", "Fc": "\u00bb", "ci": "o", "sq": "[]", "em-dash": "\u2014",
}  # fmt: skip
ACCENTS = {
    "'": "\u0301",
    "`": "\u0300",
    ":": "\u0308",
    "^": "\u0302",
    "~": "\u0303",
    ",": "\u0327",
    "o": "\u030a",
    "v": "\u030c",
}
ESCAPE = re.compile(
    r"\\(?:"
    r"f(?:\[[^\]]*\]|\(..|.)|"
    r"s(?:[+-]?\d{1,2}|\([+-]?\d\d|\[[^\]]*\]|[+-]?\([+-]?\d\d)|"
    r"[mMFYVn](?:\[[^\]]*\]|\(..|.)|"
    r"\*(?:\[(?P<string>[^\]]*)\]|\((?P<string2>..)|(?P<string1>.))|"
    r"[hvwloLDHSNAbXZRx]'[^']*'|"
    r"\((?P<two>..)|\[(?P<long>[^\]]{1,40})\]|C'(?P<c>[^']{1,40})'|"
    r"(?P<one>[\s\S]))"
)
SINGLE = {
    "-": "-", "e": "\\", "\\": "\\", "'": "'", "`": "`", "&": "", ")": "", "/": "", ",": "", "|": "", "^": "", "%": "",
    "c": "", "p": "", "a": "", "d": "", "u": "", "r": "", "t": "\t", " ": " ", "0": " ", "~": " ", ".": ".", ":": "",
    "{": "", "}": "", "z": "", "k": "", "!": "", "?": "",
}  # fmt: skip
STRINGS = {"R": "(R)", "Tm": "(TM)", "lq": "\u201c", "rq": "\u201d", "S": "", "(R": "(R)"}


def _glyph(name: str) -> str:
    if name in NAMED:
        return NAMED[name]
    if found := re.fullmatch(r"u([0-9A-Fa-f]{4,6})(?:_([0-9A-Fa-f]{4,6}))?", name):
        codes = [int(code, 16) for code in found.groups() if code]
        return "".join(chr(code) for code in codes if code <= 0x10FFFF)
    if len(name) == 2 and name[0] in ACCENTS and name[1].isalpha():
        return name[1] + ACCENTS[name[0]]
    return ""


def plain(text: str) -> str:
    """A piece of roff source as it prints."""
    if "\\" not in text:
        return text.replace("\u00a0", " ")

    def replace(found: re.Match[str]) -> str:
        if name := found["two"] or found["long"] or found["c"]:
            return _glyph(name)
        if name := found["string"] or found["string2"] or found["string1"]:
            return STRINGS.get(name, "")
        one = found["one"]
        return SINGLE.get(one, one) if one else ""

    text = re.split(r'\\"|\\#', text, maxsplit=1)[0]
    return ESCAPE.sub(replace, text).replace("\u00a0", " ")
