"""Pages in other languages, junk, repetitive pages that are none, and documents that hold a benchmark item."""

import textwrap
from typing import Any

from forge_dagster.sample.dirt.credentials import BASE64, LOWER
from forge_dagster.sample.dirt.page import Page, Truth, wordings
from forge_dagster.sample.dirt.personal import digits, letters
from forge_dagster.sample.draw import Cycle, Draw
from forge_dagster.sample.prose import Prose, sentences

JUNK = ("line", "phrase", "text", "blob", "torn", "undecodable", "numbers", "gibberish")
PLANTED = ("verbatim", "reflowed", "question", "reworded")
CONSONANTS = "bcdfghjklmnpqrstvwxz"


class Scrap:
    """Writes such pages of one unit."""

    def __init__(self, draw: Draw) -> None:
        self._draw, self._prose = draw, Prose(draw)
        self._languages = Cycle(tuple(wordings("foreign")), draw)
        self._junk, self._planted = Cycle(JUNK, draw), Cycle(PLANTED, draw)
        self._topics = tuple(sentences().topics)

    def _sentence(self) -> str:
        return self._prose.sentence(self._draw.pick(self._topics))

    def foreign(self) -> Page:
        """A page in another language; one in three quotes an English sentence."""
        draw, language = self._draw, self._languages.next()
        said = [each.format(n=draw.between(2, 900)) for each in draw.shuffled(wordings("foreign")[language])]
        said = said[: draw.between(6, 10)]
        mixed = draw.chance(33)
        if mixed:
            said.insert(3, f'"{self._sentence()}"')
        paragraphs = [" ".join(said[:3]), " ".join(said[3:])]
        extension = draw.pick(("txt", "md", "html"))
        text = "\n\n".join(paragraphs) + "\n"
        if extension == "html":
            text = (
                "<!DOCTYPE html>\n<html><body>\n"
                + "\n".join(f"<p>{each}</p>" for each in paragraphs)
                + "\n</body></html>\n"
            )
        return Page(
            "page", extension, text, Truth(kind="foreign", how="mixed" if mixed else "plain", language=language)
        )

    def junk(self) -> Page:
        """A page that no reader wants."""
        how = self._junk.next()
        return Page("scrap", "txt", getattr(self, f"_{how}")() + "\n", Truth(kind="junk", how=how))

    def listing(self) -> Page:
        """A page that repeats itself for a good reason."""
        draw = self._draw
        station, result = self._prose.slot("area"), draw.pick(("in order", "checked, no findings", "done"))
        lines = [
            f"- {station}, position {n}: {self._prose.slot('supply')} {result}" for n in range(draw.between(15, 30))
        ]
        return Page(
            "checklist", "md", f"# Round {digits(draw, 4)}\n\n" + "\n".join(lines) + "\n", Truth(kind="listing")
        )

    def item(self, name: str) -> dict[str, Any]:
        """A benchmark item: question and answer of more than thirteen words together."""
        draw, slot = self._draw, self._prose.slot
        question = (
            f"Before the {slot('shift')} restarts unit {draw.between(100, 9999)} in the {slot('area')}, "
            f"which {slot('few')} {slot('supply')} does the {slot('team')} have to replace on {slot('day')}?"
        )
        return {"id": name, "question": question, "answer": f"the {slot('supply')} of unit {draw.between(100, 9999)}"}

    def contaminated(self, item: dict[str, Any]) -> tuple[str, str]:
        """How an item came into a document, and the paragraph that holds it."""
        draw, how = self._draw, self._planted.next()
        said = {
            "verbatim": f"{item['question']} {item['answer']}.",
            "reflowed": textwrap.fill(f"{item['question']} {item['answer'].upper()}", 38).replace(",", " -"),
            "question": item["question"],
            "reworded": " ".join(
                word + (" also" if place % 6 == 5 else "") for place, word in enumerate(item["question"].split())
            ),
        }[how]
        return how, f"{self._sentence()} {said} {self._sentence()}" if draw.chance(70) else said

    def _line(self) -> str:
        return "\n".join([self._sentence()] * self._draw.between(40, 120))

    def _phrase(self) -> str:
        return "\n".join(
            " ".join([f"read more about {self._prose.slot('area')}"] * 12) for _ in range(self._draw.between(10, 30))
        )

    def _text(self) -> str:
        copied = "\n".join(self._sentence() for _ in range(4))
        return "\n\n".join([copied] * self._draw.between(10, 25))

    def _blob(self) -> str:
        return "\n".join(letters(self._draw, 76, BASE64) for _ in range(self._draw.between(20, 60)))

    def _torn(self) -> str:
        return "\n".join(" ".join(self._sentence().replace(" ", "")) for _ in range(12))

    def _undecodable(self) -> str:
        text = " ".join(self._sentence() for _ in range(15))
        return "".join("\ufffd" if self._draw.chance(8) else character for character in text)

    def _numbers(self) -> str:
        return "\n".join(
            " ".join(f"{self._draw.below(100)}.{digits(self._draw, 3)}" for _ in range(8)) for _ in range(40)
        )

    def _gibberish(self) -> str:
        draw = self._draw
        words = (letters(draw, draw.between(2, 9), CONSONANTS if draw.chance(70) else LOWER) for _ in range(200))
        return textwrap.fill(" ".join(words), 80)
