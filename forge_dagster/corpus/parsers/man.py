"""Manual pages (man and mdoc macros of roff) as text: headings, paragraphs, tagged lists; fonts and layout left out."""

import re

from forge_dagster.corpus.parsers.document import Document
from forge_dagster.corpus.parsers.glyphs import plain
from forge_dagster.corpus.text import decode

EXTENSIONS = ("man", "roff", "mdoc")
REQUEST = re.compile(r"^[.'][ \t]*([A-Za-z0-9_\\\"]+)[ \t]*(.*)$")
SILENT = frozenset({
    "ad", "ab", "am", "as", "bp", "ce", "ch", "cs", "de", "de1", "ds", "ec", "el", "eo", "ev", "fam", "fi", "fp", "ft",
    "hc", "hla", "hw", "hy", "ie", "if", "ig", "in", "it", "kern", "ll", "lg", "ls", "ne", "nh", "nop", "nr", "ns", "pl",
    "po", "ps", "rm", "rn", "rr", "rs", "so", "ss", "ta", "ti", "tr", "ul", "vs", "warn", "wh", "do", "als", "cp",
    "PD", "DT", "RS", "RE", "HP", "UE", "ME", "Bk", "Ek", "Ed", "El", "Os", "Dd", "Rs", "Re", "Bf", "Ef", "Ns", "Sm",
    "UC", "AT", "EX", "EE", "TS", "TE", "nf", "Bl", "Bd", "sp", "br", "P", "PP", "LP", "Pp", "Lp", '\\"', '"', '\\\\',
})  # fmt: skip
PARAGRAPHS = frozenset({"P", "PP", "LP", "Pp", "Lp", "sp", "HP"})
MDOC: dict[str, tuple[str, str]] = {
    "Fl": ("-", ""), "Dq": ('"', '"'), "Sq": ("'", "'"), "Qq": ('"', '"'), "Pq": ("(", ")"), "Bq": ("[", "]"),
    "Op": ("[", "]"), "Oo": ("[", ""), "Oc": ("", "]"), "Brq": ("{", "}"), "Aq": ("<", ">"), "Ql": ("`", "`"),
    "Xr": ("", ""), "Nm": ("", ""), "Ar": ("", ""), "Cm": ("", ""), "Pa": ("", ""), "Ev": ("", ""), "Em": ("", ""),
    "Sy": ("", ""), "Li": ("", ""), "Va": ("", ""), "Fa": ("", ""), "Fn": ("", "()"), "Ft": ("", ""), "Dv": ("", ""),
    "Er": ("", ""), "Ic": ("", ""), "Nd": ("- ", ""), "An": ("", ""), "Mt": ("", ""), "Lk": ("", ""), "Ux": ("", ""),
    "Ad": ("", ""), "At": ("", ""), "St": ("", ""), "Cd": ("", ""), "In": ("#include <", ">"), "Vt": ("", ""),
}  # fmt: skip
CLOSING = frozenset(".,:;)]?!")  # stands right after the line it ends, outside its macros (mdoc(7))
ALTERNATING = frozenset({"BR", "RB", "IR", "RI", "BI", "IB", "SB", "BX", "OP"})


class _Page:
    """The text so far of one manual page."""

    def __init__(self) -> None:
        self.title, self.name = "", ""
        self._lines: list[str] = []
        self._open: list[str] = []
        self._tag = False
        self._filled = True
        self._skipping: str | None = None

    def _close(self, blank: bool = True) -> None:
        if self._open:
            self._lines.append(" ".join(self._open))
            self._open = []
        if blank and self._lines and self._lines[-1]:
            self._lines.append("")

    def say(self, text: str) -> None:
        """Take text of the running paragraph, of a list's tag, or a line that stands as it is."""
        if not self._filled:
            self._close(blank=False)
            self._lines.append(text)
        elif self._tag and text:
            self._close()
            self._lines.append(f"- {text}")
            self._tag = False
        elif text:
            self._open.append(text.strip())
        else:
            self._close()

    def feed(self, line: str) -> None:
        """Take one line of the source."""
        if self._skipping is not None:
            if line.startswith(f".{self._skipping}"):
                self._skipping = None
            return
        found = REQUEST.match(line)
        if found is None:
            self.say(plain(line) if not line.startswith((".", "'\\\"")) else "")
        else:
            self._request(found[1], found[2])

    def _request(self, name: str, rest: str) -> None:
        arguments = _arguments(rest)
        if name in ("de", "de1", "am", "ig"):
            self._skipping = arguments[1] if len(arguments) > 1 else "."
        elif name in ("TH", "Dt"):
            self.title = f"{arguments[0]}({arguments[1]})" if len(arguments) > 1 else "".join(arguments)
        elif name in ("SH", "Sh", "SS", "Ss"):
            self._close()
            self._filled = True
            self._lines += [f"{'#' if name.lower() == 'sh' else '##'} {' '.join(arguments)}".rstrip(), ""]
        elif name in ("TP", "TQ", "IP", "It"):
            self._close()
            if name in ("TP", "TQ"):
                self._tag = True
            else:
                words = arguments[:1] if name == "IP" else [_mdoc(arguments)]
                self._open = (
                    [f"- {' '.join(words)}".rstrip()] if words and words[0] not in ("", "*", "o", "-") else ["-"]
                )
        elif name in PARAGRAPHS:
            self._close()
        elif name in ("nf", "EX", "Bd"):
            self._close(blank=False)
            self._filled = False
        elif name in ("fi", "EE", "Ed"):
            self._filled = True
            self._close()
        elif name == "br":
            self._close(blank=False)
        elif name in ("UR", "MT"):
            self.say(" ".join(arguments))
        elif name == "Nm" and arguments and not self.name:
            self.name = arguments[0]
            self.say(self.name)
        elif name == "Nm" and not arguments:
            self.say(self.name)
        elif name in ALTERNATING:
            self.say("".join(arguments))
        elif name in MDOC:
            self.say(_mdoc([name, *arguments]))
        elif name not in SILENT:
            self.say(" ".join(arguments))

    def text(self) -> str:
        """All of it."""
        self._close()
        return "\n".join(self._lines)


def _arguments(rest: str) -> list[str]:
    """Arguments of a request; quotes hold words together."""
    cut = re.split(r'\\"', rest, maxsplit=1)[0].replace("\\ ", "\u00a0")
    found = re.findall(r'"((?:[^"]|"")*)"?|(\S+)', cut)
    return [plain(quoted.replace('""', '"') or bare) for quoted, bare in found]


def _mdoc(words: list[str]) -> str:
    """A line of mdoc macros, each called by its name among the words of the one before."""
    pieces: list[str] = []
    closing: list[str] = []
    said = len(words)
    while said and words[said - 1] in CLOSING:
        said -= 1
    for word in words[:said]:
        if word in MDOC:
            before, after = MDOC[word]
            if word in ("Fl",):
                pieces.append(f"{before}\0")
            elif before or after:
                pieces.append(f"{before}\0" if before else "")
                closing.append(after)
        elif word not in SILENT:
            pieces.append(word)
    joined = " ".join(piece for piece in pieces if piece).replace("\0 ", "").replace("\0", "")
    return joined + "".join([*reversed(closing), *words[said:]])


def parse(data: bytes) -> Document:
    """Name and text of a manual page. Raises DataError if it is no text."""
    page = _Page()
    for line in decode(data).replace("\\\n", "").splitlines():
        page.feed(line)
    text = page.text()
    described = re.search(r"^# NAME\n\n(.+)$", text, re.MULTILINE | re.IGNORECASE)
    return Document(described[1] if described else page.title, text)
