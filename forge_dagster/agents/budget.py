"""What an agent spent and holds, by ledger and records, and whether one more run is within its quota.

A run that is under way, or ended without a word, counts as what it holds: nobody gains by killing it.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from forge_dagster.agents.journal import ENDED, PROPOSED, READ, RUN, SCORES, Journal
from forge_dagster.agents.quota import Quota
from forge_dagster.errors import QuotaError
from forge_dagster.home import Home
from forge_dagster.provenance.locks import lock
from forge_dagster.provenance.spent import taken
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.stage import FrozenModel

DAY = timedelta(days=1)
MARGIN = 1.5  # a run holds so many times what it is estimated to take, and is stopped when that is over
LEAST_HOURS = 0.05  # held by a run that is estimated to take next to nothing: every run starts processes


class Wanted(FrozenModel):
    """A run that is asked for. `hours` are estimated, null where nothing like it was ever made."""

    target: str
    plan: str = Field(description="digest of the plan")
    hours: float | None
    seconds: float | None = Field(description="by the clock, estimated as the hours are")
    tokens: int = Field(ge=0, description="tokens of its pre-trainings")
    trials: int = Field(default=1, ge=1, description="1, or as many as the study that it makes has at most")
    width: float = Field(gt=0, description="processors or GPUs that it computes on")


class Standing(FrozenModel):
    """What an agent spent of its quota within its days, and what its runs under way hold."""

    spent_hours: float
    held_hours: float
    trials: int
    tokens: int
    under_way: tuple[str, ...]
    scorecards: tuple[str, ...]
    """Digests of the scorecards whose gates it was told."""
    searches: int
    proposals: int
    """Proposals of it that were ever made."""


class Admitted(NamedTuple):
    """A run that may begin: what the ledger says of it, and the descriptor of its lock, for its process to hold."""

    statement: Mapping[str, Any]
    alive: int


class Budget:
    """Counts for one agent."""

    def __init__(self, home: Home, quota: Quota, journal: Journal) -> None:
        self.home, self.quota, self.journal = home, quota, journal
        self.store = ArtifactStore(home.artifacts)
        self._taken: dict[str, float] = {}
        """Hours of runs that ended, which do not change any more."""

    def standing(self) -> Standing:
        """All counts as they are now."""
        agent, days = self.quota.actor, timedelta(days=self.quota.days)
        runs = self.journal.of(RUN, agent, days)
        ended = {entry["statement"]["launch"]: entry["statement"] for entry in self.journal.of(ENDED, agent)}
        spent, held, under_way = 0.0, 0.0, []
        for entry in runs:
            run = entry["statement"]
            launch = run["launch"]
            if launch in ended:
                if launch not in self._taken:
                    self._taken[launch] = self._hours(run, ended[launch])
                spent += self._taken[launch]
            else:
                held += run["hours"]
                if is_under_way(self.home, launch):
                    under_way.append(launch)
        return Standing(
            spent_hours=spent,
            held_hours=held,
            # A run that was stated before studies counted is one.
            trials=sum(entry["statement"].get("trials", 1) for entry in runs),
            tokens=sum(entry["statement"]["tokens"] for entry in runs),
            under_way=tuple(under_way),
            scorecards=tuple(sorted(self.looks())),
            searches=len(self.journal.of(READ, agent, DAY)),
            proposals=len(self.journal.of(PROPOSED, agent)),
        )

    def looks(self) -> set[str]:
        """Digests of the scorecards whose gates the agent was told within its days."""
        entries = self.journal.of(SCORES, self.quota.actor, timedelta(days=self.quota.days))
        return {entry["statement"]["digest"] for entry in entries}

    @contextmanager
    def one_at_a_time(self) -> Iterator[None]:
        """Held from counting to stating, by whichever process counts: what is asked at once counts in turn."""
        path = self.home.work / "locks" / "agents.lock"
        with lock(path, what="the agents' budgets", wait=60, waiting=lambda _: None):
            yield

    def admit(self, wanted: Wanted, launch: str) -> "Admitted":
        """State in the ledger that this run may begin, and what it holds. Raises QuotaError."""
        with self.one_at_a_time():
            hours = self._to_hold(wanted)
            statement = {
                "agent": self.quota.actor,
                "launch": launch,
                **wanted.model_dump(),
                "hours": hours,
                "seconds": _limit(wanted, hours),
                "unit": self.quota.unit,
            }
            alive = _hold(alive_lock(self.home, launch))
            self.journal.state(RUN, statement)
        return Admitted(statement, alive)

    def _to_hold(self, wanted: Wanted) -> float:
        quota, now = self.quota, self.standing()
        left = quota.hours - now.spent_hours - now.held_hours
        self._within("trials", now.trials + wanted.trials, quota.trials)
        self._within("tokens", now.tokens + wanted.tokens, quota.tokens if wanted.tokens else now.tokens)
        self._within("runs_at_once", len(now.under_way) + 1, quota.runs_at_once)
        least = max(wanted.hours or 0.0, LEAST_HOURS)
        self._within(f"{quota.unit}-hours", quota.hours - left + least, quota.hours)
        return left if wanted.hours is None else min(left, max(wanted.hours * MARGIN, LEAST_HOURS))

    def _within(self, what: str, wanted: float, limit: float) -> None:
        if wanted > limit:
            raise QuotaError(
                f"{what}: {wanted:g} would be used of {limit:g}",
                rule=f"the quota of {self.quota.name} within {self.quota.days:g} days, by the ledger",
                mend="wait until runs end or fall out of these days, or ask a person to change agents.yaml",
            )

    def _hours(self, run: dict[str, Any], end: dict[str, Any]) -> float:
        """Of a run that ended: what its artifacts took by their records, and at least its time if it failed."""
        made = _distinct(self.journal.made_in(run["launch"]))
        took = (taken(self.store, *each, run["unit"], anywhere=True) for each in made)
        hours = sum(each.hours for each in took if each is not None)
        return hours if end["exit_code"] == 0 else max(hours, end["seconds"] / 3600 * run["width"])


def _limit(wanted: Wanted, held: float) -> float:
    """Seconds by the clock after which a run is stopped: as it holds more than it is estimated to take, so here."""
    if wanted.hours is None or wanted.seconds is None:
        return held / wanted.width * 3600
    share = held / wanted.hours if wanted.hours else MARGIN
    return max(wanted.seconds * share, LEAST_HOURS / wanted.width * 3600)


def _distinct(statements: Iterable[dict[str, Any]]) -> set[tuple[str, str, str]]:
    return {(each["key"], each["digest"], each["fingerprint"]) for each in statements}


def alive_lock(home: Home, launch: str) -> Path:
    """The file whose lock is held from the admission of an agent's run until its process ends."""
    return home.work / "locks" / "agent-runs" / f"{launch}.lock"


def _hold(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    held = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return held


def is_under_way(home: Home, launch: str) -> bool:
    """Whether a process holds the lock of the run."""
    path = alive_lock(home, launch)
    if not path.is_file():
        return False
    with path.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
