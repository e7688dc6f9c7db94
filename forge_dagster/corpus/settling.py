"""When a source that moved has settled: what a watcher remembers of one source between two looks.

Times are of the wall clock, and a clock may be set back. A time that lies ahead of now says nothing, so waiting begins
anew: a change is then acted on later by at most one waiting time, never not at all.
"""

from collections.abc import Mapping
from typing import Self

from pydantic import Field

from forge_dagster.source import Watch
from forge_dagster.stage import FrozenModel

REMEMBERED = 3600.0
"""Seconds for which an earlier request makes the next one wait longer, and the longest that it makes it wait."""


class Settling(FrozenModel):
    """One source as a watcher last saw it; every time is in seconds since the epoch."""

    mark: str = Field(default="", description="the source's watermark")
    waits: bool = Field(default=False, description="whether it moved and was not acted on")
    moved: float = Field(default=0, description="when it last moved")
    began: float = Field(default=0, description="when it first moved after it was last acted on")
    asked: tuple[float, ...] = Field(default=(), description="when it was acted on within the last hour")
    requested: dict[str, str] = Field(default={}, description="partition -> key of the run that was last asked for")
    held: dict[str, str] = Field(default={}, description="partition held for a person -> digest of what it holds")
    why: str = Field(default="", description="why it is held, or was not made")

    def seen(self, mark: str, now: float) -> Self:
        """It as it is now."""
        asked = tuple(time for time in self.asked if 0 <= now - time < REMEMBERED)
        if mark != self.mark:
            began = self.began if self.waits and self.began <= now else now
            update = {"mark": mark, "waits": True, "moved": now, "began": began, "held": {}, "why": ""}
        elif self.waits and self.moved > now:  # the clock was set back
            update = {"moved": now, "began": now}
        else:
            update = {}
        return self.model_copy(update={**update, "asked": asked})

    def left(self, watch: Watch, now: float) -> float:
        """Seconds until it counts as quiet; 0 if it does, or was restless for too long."""
        wait = min(watch.quiet_seconds * 2 ** len(self.asked), max(REMEMBERED, watch.quiet_seconds))
        quiet = self.moved + wait - now
        return max(0.0, min(quiet, self.began + max(watch.longest_wait_seconds, wait) - now))

    def acted(self, now: float, requests: Mapping[str, str], held: Mapping[str, str], why: str) -> Self:
        """It after it was looked into; what was asked for is looked at again, for it may change meanwhile."""
        asked = {
            "asked": (*self.asked, now),
            "moved": now,
            "began": now,
            "requested": {**self.requested, **requests},
        }
        again = {"waits": bool(requests), "held": dict(held), "why": why}
        return self.model_copy(update={**again, **(asked if requests else {})})
