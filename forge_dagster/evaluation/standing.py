"""Results that stand: a task is not asked again of the same model in the same way on the same kind of machine.

They lie in the cache of the scorecard, one file for each answer to (model, task, settings, code, environment); they
may be lost, and a scorecard comes out the same with them or without.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from forge_dagster.evaluation.measure import Task
from forge_dagster.evaluation.score import Result
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.provenance.files import write_atomically


class Standing:
    """Results by fingerprint of all that decides them; `asked` counts what was not there."""

    def __init__(self, folder: Path, environment: Mapping[str, Any]) -> None:
        self._folder, self._environment = folder, environment
        self.asked: list[str] = []

    def results(self, model: str, task: Task, code: str, ask: Callable[[], Sequence[Result]]) -> list[Result]:
        """Results of the task on the model with this digest: those that stand, else what `ask` gives."""
        identity = {
            "model": model,
            "task": {"name": task.name, "digest": task.digest, "settings": dict(task.settings)},
            "code": code,
            "environment": dict(self._environment),
        }
        path = self._folder / f"{fingerprint(identity)}.json"
        if path.is_file():
            body = json.loads(path.read_bytes())
            if body["digest"] == fingerprint(body["results"]):  # a disk may have lost some of it
                return [Result(*row) for row in body["results"]]
        self.asked.append(task.name)
        results = list(ask())
        rows = [list(result) for result in results]
        write_atomically(path, json.dumps({"digest": fingerprint(rows), "results": rows}).encode())
        return results
