"""Batches of trials: chosen together, trained piece by piece, each ended early or at its end.

What a trial was worth after a piece is one small file in the work folder. A study that was killed asks everything again
in the same order, finds the answers that are there, and goes on with the first that is not.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forge_dagster.errors import IntegrityError
from forge_dagster.provenance.files import remove, write_atomically
from forge_dagster.search.chooser import Chooser
from forge_dagster.search.crew import Crew
from forge_dagster.search.found import State, Trial, best_of
from forge_dagster.search.space import StudyConfig, ends_of, job_of
from forge_dagster.search.trial import Measured, Piece
from forge_dagster.stage import StageContext
from forge_dagster.study import Point

TRIALS = "trials"
"""Folder of the trials in the work folder of a study."""


class Open:
    """A trial that has begun."""

    def __init__(self, config: StudyConfig, number: int, asked: Any, point: Point) -> None:
        self.number, self.asked, self.point = number, asked, point
        self.job = job_of(config.study, config.recipe, point)
        self.ends = ends_of(self.job.settings)
        self.seen: list[Measured] = []
        self.state: State | None = None

    @property
    def is_at_its_end(self) -> bool:
        return len(self.seen) == len(self.ends)

    def closed(self) -> Trial:
        """What is written down of it."""
        assert self.state is not None, "it has ended"
        complete = self.state == "complete"
        return Trial(
            number=self.number,
            state=self.state,
            point=self.point,
            value=self.seen[-1].value if complete else None,
            values=tuple(each.value for each in self.seen[: -1 if complete else None] if each.value is not None),
            tokens=self.seen[-1].tokens,
            operations=self.seen[-1].operations,
            reason=self.seen[-1].diverged,
        )


class Batches:
    """The trials of a study, batch after batch."""

    def __init__(
        self, config: StudyConfig, inputs: Mapping[str, Path], context: StageContext, crew: Crew, chooser: Chooser
    ) -> None:
        self._config, self._inputs, self._context, self._crew, self.chooser = config, inputs, context, crew, chooser
        self.done: list[Trial] = []

    def batch(self, count: int) -> None:
        """Choose and train so many trials: after each piece all are told of, then each is judged, in their order."""
        begun = [Open(self._config, len(self.done) + place, *self.chooser.ask()) for place in range(count)]
        live = begun
        while live:
            self._train(live)
            for trial in live:
                last = trial.seen[-1]
                if last.diverged:
                    trial.state = "diverged"
                elif trial.is_at_its_end:
                    trial.state = "complete"
                if trial.state is not None:
                    self.chooser.end(trial.asked, last.value)
                else:
                    assert last.value is not None, "it did not diverge"
                    self.chooser.keep(trial.asked, len(trial.seen), last.value)
            for trial in live:
                if trial.state is None and self.chooser.ends_early(trial.asked):
                    trial.state = "pruned"
            for trial in live:
                if trial.state is not None:
                    remove(self._folder(trial))
            live = [trial for trial in live if trial.state is None]
        self.done += [trial.closed() for trial in begun]
        self._tell()

    def _train(self, live: list[Open]) -> None:
        """Train the next piece of each, but for those that were before this process began."""
        missing = []
        for trial in live:
            answer = self._answer(trial)
            if answer is None:
                missing.append(trial)
            else:
                trial.seen.append(answer)
        self._crew.train([self._piece(trial) for trial in missing], lambda at, said: self._note(missing[at], said))

    def _note(self, trial: Open, measured: Measured) -> None:
        told = {"point": trial.point, "measured": measured.model_dump(mode="json")}
        write_atomically(self._path(trial), json.dumps(told, sort_keys=True).encode())
        trial.seen.append(measured)
        self._tell()

    def _answer(self, trial: Open) -> Measured | None:
        path = self._path(trial)
        if not path.is_file():
            return None
        told = json.loads(path.read_bytes())
        if told["point"] != trial.point:
            raise IntegrityError(
                f"{path} is of {told['point']}, and trial {trial.number} tries {trial.point}",
                rule="a study goes on with the trials that it began with",
                mend=f"remove {self._context.work} to begin anew",
            )
        return Measured.model_validate(told["measured"])

    def _piece(self, trial: Open) -> Piece:
        return Piece(
            folder=self._folder(trial),
            inputs=dict(self._inputs),
            job=trial.job,
            metric=self._config.study.metric,
            until=trial.ends[len(trial.seen)],
        )

    def _path(self, trial: Open) -> Path:
        return self._context.work / "answers" / f"{trial.number:03d}-{len(trial.seen)}.json"

    def _folder(self, trial: Open) -> Path:
        return self._context.work / TRIALS / f"{trial.number:03d}"

    def _tell(self) -> None:
        study = self._config.study
        best = best_of(self.done)
        words = f"{len(self.done)} of at most {study.trials} trials"
        if best is not None:
            words += f", best {study.metric} {self.done[best].value:.4f} (trial {best})"
        answers = len(list((self._context.work / "answers").glob("*.json")))
        self._context.progress(min(answers, study.trials * study.pieces), study.trials * study.pieces, words)
