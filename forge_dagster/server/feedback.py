"""What people think of answers, as JSONL in the home; with prompts kept, pairs in the form that `preferences` reads."""

import json
import os
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from forge_dagster.home import Home
from forge_dagster.provenance.files import write_atomically
from forge_dagster.server.answering import Answer
from forge_dagster.server.asked import FeedbackAsked
from forge_dagster.server.opened import Served
from forge_dagster.server.refused import Refused

RATINGS, PAIRS = "ratings.jsonl", "preference.jsonl"


class Feedback:
    """Two files of a recipe: every rating without what was said, and pairs of a better and a worse answer.

    A pair comes of a correction, or of two answers to one question of which one was found good and one bad. It holds
    the question, so it is written only where prompts are kept. Each line says until when it may be kept; what is older
    is taken out when a server starts.
    """

    def __init__(self, home: Home, served: Served, *, days: int, keeps_prompts: bool) -> None:
        self.folder = home.root / "feedback" / served.recipe
        self.served, self.days, self.keeps_prompts = served, days, keeps_prompts
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in (RATINGS, PAIRS):
            _drop_lapsed(self.folder / name, datetime.now(UTC).date())

    def take(self, said: FeedbackAsked, answer: Answer, others: Iterable[Answer]) -> int:
        """Keep a rating; return the number of pairs that came of it. Raises Refused (409) if the answer has one."""
        if answer.rating:
            raise Refused(409, "already_rated", f"{answer.name} was rated {answer.rating}", rule="one rating an answer")
        if said.text == answer.text:
            raise Refused(400, "invalid_value", "text is the answer itself", rule="a better answer is another one")
        now = datetime.now(UTC)
        terms = {
            "response": answer.name, "release": str(self.served), "rating": said.rating, "consent": True,
            "given": now.isoformat(timespec="seconds"),
            "retention": (now.date() + timedelta(days=self.days)).isoformat(),
        }  # fmt: skip
        pairs = self._pairs(said, answer, others)
        _append(self.folder / RATINGS, [terms])
        _append(self.folder / PAIRS, [{**pair, **terms} for pair in pairs])
        answer.rating = said.rating
        return len(pairs)

    def _pairs(self, said: FeedbackAsked, answer: Answer, others: Iterable[Answer]) -> list[dict[str, str]]:
        asked = answer.question
        if asked is None or not asked.strip():
            return []
        found = [(said.text, answer.text)] if said.text is not None else []
        for other in others:
            if other.question == asked and other.rating == -said.rating and other.text != answer.text:
                better, worse = (answer, other) if said.rating > 0 else (other, answer)
                found.append((better.text, worse.text))
        return [
            {"prompt": asked, "chosen": better, "rejected": worse}
            for better, worse in dict.fromkeys(found)
            if better.strip() and worse.strip()
        ]


def _append(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Add whole lines in one write, for their owner's eyes alone."""
    data = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines).encode()
    if data:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())


def _drop_lapsed(path: Path, today: date) -> None:
    if not path.exists():
        return
    lines = path.read_bytes().splitlines(keepends=True)
    kept = [line for line in lines if date.fromisoformat(json.loads(line)["retention"]) >= today]
    if len(kept) < len(lines):
        write_atomically(path, b"".join(kept))
        path.chmod(0o600)
