"""Letters, forms, lists and logs that hold personal data, in the language of each locale."""

from collections.abc import Sequence

from forge_dagster.sample.dirt.decoys import reference, technical
from forge_dagster.sample.dirt.marks import mark
from forge_dagster.sample.dirt.page import Page, Truth, wordings
from forge_dagster.sample.dirt.personal import VALUES, digits
from forge_dagster.sample.draw import Cycle, Draw

ROWS = 6
LOGGED = ("EMAIL", "IP_ADDRESS", "MAC_ADDRESS")


class People:
    """Writes the pages of one unit; every kind of a locale comes before any comes again."""

    def __init__(self, draw: Draw, staff: Sequence[str]) -> None:
        self._draw, self._staff = draw, staff
        self._locales = Cycle(tuple(wordings("personal")), draw)
        self._said = {name: Cycle(tuple(each["says"]), draw) for name, each in wordings("personal").items()}
        self._named = {name: Cycle(tuple(each["labels"]), draw) for name, each in wordings("personal").items()}

    def page(self) -> Page:
        """The next page."""
        locale = self._locales.next()
        layout = self._draw.pick(("letter", "letter", "form", "table", "log"))
        return {"letter": self._letter, "form": self._form, "table": self._table, "log": self._log}[layout](locale)

    def _value(self, kind: str, locale: str) -> str:
        return mark(kind, VALUES[kind](self._draw, locale))

    def _letter(self, locale: str) -> Page:
        draw, words = self._draw, wordings("personal")[locale]
        name = draw.pick(self._staff)
        sentences = draw.shuffled(words["prose"])[:3]
        for _ in range(draw.between(4, 7)):
            kind = self._said[locale].next()
            place = draw.below(len(sentences) + 1)
            sentences.insert(place, draw.pick(words["says"][kind]).format(v=self._value(kind, locale)))
        sentences.append(technical(draw) if words["language"] == "en" else reference(draw))
        half = len(sentences) // 2
        paragraphs = [draw.pick(words["greeting"]), " ".join(sentences[:half]), " ".join(sentences[half:])]
        paragraphs += [draw.pick(words["closing"]) + "\n" + draw.pick(self._staff)]
        paragraphs = [paragraph.replace("{name}", name) for paragraph in paragraphs]
        extension = draw.pick(("txt", "md", "html", "eml"))
        text = "\n\n".join(paragraphs) + "\n"
        if extension == "html":
            body = "\n".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)
            text = f"<!DOCTYPE html>\n<html><body>\n{body}\n</body></html>\n"
        elif extension == "eml":
            text = f"{self._headers(locale)}\n{text}"
        return Page("letter", extension, text, Truth(kind="personal", how="letter", language=words["language"]))

    def _headers(self, locale: str) -> str:
        return (
            f"Subject: Re: {digits(self._draw, 5)}\nFrom: {self._draw.pick(self._staff)} <{self._value('EMAIL', locale)}>\n"
            f"To: {self._value('EMAIL', locale)}\nDate: Mon, 3 Jun 2024 09:12:44 +0200\nMIME-Version: 1.0\n"
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n"
        )

    def _pairs(self, locale: str, count: int) -> list[tuple[str, str]]:
        kinds = list(dict.fromkeys(self._named[locale].next() for _ in range(count)))
        labels = wordings("personal")[locale]["labels"]
        return [(self._draw.pick(labels[kind]), kind) for kind in kinds]

    def _form(self, locale: str) -> Page:
        draw = self._draw
        extension, dash = draw.pick((("txt", ""), ("md", "- "), ("html", "")))
        blocks = []
        for number in range(draw.between(1, 3)):
            pairs = [("Name", draw.pick(self._staff)), ("No.", digits(draw, 6))]
            pairs += [(label, self._value(kind, locale)) for label, kind in self._pairs(locale, 6)]
            if extension == "html":
                rows = "\n".join(f"<tr><th>{label}</th><td>{value}</td></tr>" for label, value in pairs)
                blocks.append(f"<h2>{number + 1}</h2>\n<table>\n{rows}\n</table>")
            else:
                blocks.append("\n".join(f"{dash}{label}: {value}" for label, value in pairs))
        text = "\n\n".join([*blocks, reference(draw)]) + "\n"
        if extension == "html":
            text = f"<!DOCTYPE html>\n<html><body>\n{text}</body></html>\n"
        return Page("record", extension, text, Truth(kind="personal", how="form"))

    def _table(self, locale: str) -> Page:
        draw = self._draw
        columns = self._pairs(locale, 5)
        head = ["Name", *(label for label, _ in columns)]
        rows = [
            [draw.pick(self._staff), *(self._value(kind, locale) for _, kind in columns)]
            for _ in range(draw.between(3, ROWS))
        ]
        extension = draw.pick(("csv", "md", "html"))
        if extension == "csv":
            quoted = [[f'"{cell}"' if "," in cell else cell for cell in row] for row in rows]
            text = "\n".join(",".join(row) for row in [head, *quoted]) + "\n"
        elif extension == "md":
            text = "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows)) + "\n"
        else:
            cells = [
                "".join(f"<{tag}>{cell}</{tag}>" for cell in row)
                for tag, row in [("th", head), *(("td", row) for row in rows)]
            ]
            lines = "\n".join(f"<tr>{row}</tr>" for row in cells)
            text = f"<!DOCTYPE html>\n<html><body>\n<table>\n{lines}\n</table>\n</body></html>\n"
        return Page("list", extension, text, Truth(kind="personal", how="table"))

    def _log(self, locale: str) -> Page:
        draw, lines, second = self._draw, [], self._draw.below(40_000)
        forms = (
            "sshd[{n}]: Accepted publickey for deploy from {IP_ADDRESS} port {n} ssh2",
            "dhcpd: DHCPACK on {IP_ADDRESS} to {MAC_ADDRESS} via eth0",
            "postfix/smtp[{n}]: 4F{n}: to=<{EMAIL}>, relay=mx, delay=0.{n}, status=sent",
            'nginx: {IP_ADDRESS} - - "GET /orders/{n} HTTP/1.1" 200 {n}',
            "kernel: eth0: link up, {n} Mbps, uptime {n}",
            "orders: job {n} took 12.{n} ms, version 4.18.{n}",
        )
        for _ in range(draw.between(10, 18)):
            second += draw.between(1, 900)
            line = draw.pick(forms)
            while "{n}" in line:
                line = line.replace("{n}", str(draw.between(100, 60_000)), 1)
            for kind in LOGGED:
                line = line.replace(f"{{{kind}}}", self._value(kind, "en_us"))
            lines.append(
                f"2024-05-{draw.between(1, 28):02}T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}Z srv{draw.below(9)} {line}"
            )
        return Page("events", draw.pick(("log", "txt")), "\n".join(lines) + "\n", Truth(kind="personal", how="log"))
