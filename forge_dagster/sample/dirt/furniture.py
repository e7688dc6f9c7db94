"""Letterheads, footers and notices that stand on many pages of a company and say nothing of any."""

from forge_dagster.sample.draw import Draw

OFTEN, NOTICE = 65, 25
"""Percentages of the pages with head and foot, and with the notice in between."""
TEXT = ("txt", "md")


def furnished(text: str, extension: str, company: str, draw: Draw) -> tuple[str, tuple[str, ...]]:
    """The page with its furniture, and the lines that are furniture. Tables, code, logs and PDF have none."""
    if extension not in (*TEXT, "html", "eml") or not draw.chance(OFTEN):
        return text, ()
    page, pages = draw.between(1, 9), draw.between(9, 30)
    head = (f"{company} | Internal document | Page {page} of {pages}",)
    notice = ("Questions about this page are answered by the office named on the cover, weekdays from 8 to 16.",)
    foot = (
        f"This document is the property of {company} and may not be passed on without written consent.",
        f"Printed copies are not controlled. Printed on {draw.between(1, 28):02}.{draw.between(1, 12):02}.2024.",
    )
    if extension == "eml":
        return f"{text}\n-- \n{foot[0]}\n", foot[:1]
    middle = notice if draw.chance(NOTICE) else ()
    if extension == "html":
        opening, closing = text.index("<body>") + len("<body>"), text.rindex("</body>")
        body = text[opening:closing]
        return f"{text[:opening]}\n{_html(head)}{body}{_html((*middle, *foot))}{text[closing:]}", (
            *head,
            *middle,
            *foot,
        )
    if middle and (at := text.find("\n\n", len(text) // 3)) > 0:
        text = f"{text[:at]}\n\n{middle[0]}{text[at:]}"
    else:
        middle = ()
    return "\n\n".join([*head, text.rstrip("\n"), "\n".join(foot)]) + "\n", (*head, *middle, *foot)


def _html(lines: tuple[str, ...]) -> str:
    return "".join(f"<p>{line}</p>\n" for line in lines)
