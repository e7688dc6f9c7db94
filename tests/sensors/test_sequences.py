"""Over 200 random sequences of edits, reverts, touches, crashes, deletions and cursor resets nothing is asked twice."""

import os
import random
from collections.abc import Callable

import dagster as dg
import pytest
from watched_source import QUIET, Watched

from forge_dagster.corpus.standing import standing
from forge_dagster.provenance.store import ArtifactStore

SEQUENCES, LENGTH = 200, 25
TEXTS = ("one", "two", "three")


class Sequence:
    """One random sequence over a watched source; what was asked for, whatever became of it."""

    def __init__(self, watched: Watched, seed: int) -> None:
        self.watched, self.random = watched, random.Random(seed)
        self.open: list[dg.DagsterRun] = []
        self.done: list[dg.DagsterRun] = []
        self.keys: list[str] = []

    def step(self) -> None:
        self.random.choice(self.steps())()

    def steps(self) -> list[Callable[[], object]]:
        return [self.edit, self.edit, self.touch, self.rewrite, self.wait, self.wait, self.wait, self.tick, self.tick,
                self.tick, self.lose_tick, self.finish, self.finish, self.crash, self.delete, self.reset,
                self.set_clock_back]  # fmt: skip

    def edit(self) -> None:
        (self.watched.folder / f"{self.random.randrange(3)}.txt").write_text(self.random.choice(TEXTS))

    def touch(self) -> None:
        os.utime(self.watched.folder / "0.txt", ns=(self.random.randrange(10**9), self.random.randrange(10**9)))

    def rewrite(self) -> None:
        path = self.watched.folder / "1.txt"
        path.write_text(path.read_text())

    def wait(self) -> None:
        self.watched.wait(self.random.choice([1, QUIET, 600, 4000]))

    def set_clock_back(self) -> None:
        self.watched.wait(-self.random.choice([10, 5000]))

    def tick(self) -> None:
        self._started(self.watched.tick())

    def lose_tick(self) -> None:
        """The daemon dies after it started the runs and before it kept the cursor."""
        self._started(self.watched.tick(keeps_cursor=False))

    def reset(self) -> None:
        self.watched.cursor = None

    def finish(self) -> None:
        if self.open:
            run = self.open.pop(0)
            self.watched.finish(run)
            self.done.append(run)

    def crash(self) -> None:
        if self.open:
            self.watched.finish(self.open.pop(0), crashes=True)

    def delete(self) -> None:
        if self.done:
            self.watched.instance.delete_run(self.done.pop().run_id)

    def _started(self, runs: list[dg.DagsterRun]) -> None:
        stands = standing(ArtifactStore(self.watched.home.artifacts), "docs")
        for run in runs:
            content = run.tags["dagster/run_key"].split("@")[1].split(" ")[0]
            assert stands is not None
            assert content not in stands.contents, "what stands is not asked for"
        self.open += runs
        self.keys += [run.tags["dagster/run_key"] for run in runs]


@pytest.mark.parametrize("block", range(10))
def test_nothing_is_asked_for_or_read_twice(quick: Callable[[], Watched], block: int):
    asked = read = 0
    for seed in range(block * SEQUENCES // 10, (block + 1) * SEQUENCES // 10):
        sequence = Sequence(quick(), seed)
        for _ in range(LENGTH):
            sequence.step()
        watched = sequence.watched
        while sequence.open:
            sequence.finish()
        (watched.folder / "0.txt").write_text("the last word")
        for _ in range(3):
            watched.tick()
            watched.wait(7200)
            sequence.tick()
            sequence.finish()
        assert len(set(sequence.keys)) == len(sequence.keys), f"seed {seed}"
        assert len(set(watched.built)) == len(watched.built), f"seed {seed}"
        assert watched.built[-1] in standing(ArtifactStore(watched.home.artifacts), "docs").contents, f"seed {seed}"
        asked, read = asked + len(sequence.keys), read + len(watched.built)
    assert asked >= read - SEQUENCES // 10 > 0
