"""What people make of a model that serves, as sums by day in the home: no word of what was asked or answered."""

import json
from datetime import UTC, date, datetime
from pathlib import Path
from uuid import uuid4

from forge_dagster.home import Home
from forge_dagster.provenance.files import write_atomically
from forge_dagster.retraining import Use
from forge_dagster.server.opened import Served


class Tally:
    """The sums of one server, in a file of its own, so that servers of one release need no lock."""

    def __init__(self, home: Home, served: Served) -> None:
        self.release = str(served)
        self.path = _folder(home, served.recipe) / f"{uuid4().hex}.json"
        self.days: dict[str, Use] = {}
        self.is_written = True

    def add(self, use: Use) -> None:
        day = datetime.now(UTC).date().isoformat()
        self.days[day] = self.days.get(day, Use()) + use
        self.is_written = False

    def write(self) -> None:
        """Replace the file by what it is now, if that is more."""
        if self.is_written:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        days = {day: use.model_dump() for day, use in self.days.items()}
        write_atomically(self.path, json.dumps({"release": self.release, "days": days}, indent=1).encode())
        self.is_written = True


def use_since(home: Home, recipe: str, release: str, since: date) -> Use:
    """Sums of every server of a release, `KEY@DIGEST`, from this day on."""
    found = Use()
    for path in sorted(_folder(home, recipe).glob("*.json")):
        body = json.loads(path.read_bytes())
        if body["release"] == release:
            days = (use for day, use in body["days"].items() if date.fromisoformat(day) >= since)
            found = sum(map(Use.model_validate, days), found)
    return found


def _folder(home: Home, recipe: str) -> Path:
    return home.root / "use" / recipe
