"""A run: what it froze at launch, what it has made so far, how far its stages are."""

import json
import os
import time
import traceback
from contextlib import suppress
from pathlib import Path
from typing import Any

from forge_dagster.errors import ForgeError, RemoteError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.provenance.locks import lock
from forge_dagster.provenance.place import Place, place
from forge_dagster.provenance.store import ArtifactStore

PROGRESS_INTERVAL = 0.2  # seconds between writes of one stage's progress


class Run:
    """The folder `runs/<run_id>/`: `inputs.json` frozen once, `outputs/` and `progress/` by artifact key."""

    def __init__(self, home: Home, run_id: str) -> None:
        self.home, self.run_id = home, run_id
        self.folder = home.runs / run_id
        self.store = ArtifactStore(home.artifacts)

    @property
    def place(self) -> Place:
        """Where steps of this run on other machines find what it froze and made."""
        return place(self.home.root)

    def _name(self, name: str) -> str:
        return f"runs/{self.run_id}/{name}"

    def freeze(self, declared: dict[str, Any]) -> dict[str, Any]:
        """Write what this run will read, once; later calls, from any process, return what was frozen first."""
        path, name = self.folder / "inputs.json", self._name("inputs.json")
        with lock(self.folder / ".lock", what=f"run {self.run_id}", wait=60, waiting=lambda _: None):
            if not path.exists() and self.place.read(name) is None:
                current = {key: self.store.current(key) for key in self.store.all_keys()}
                frozen = {**declared, "run": self.run_id, "current": {k: d for k, d in current.items() if d}}
                releases = {key: self.store.serving(key) for key in current if key.endswith("/release")}
                frozen["serving"] = {key: digest for key, digest in releases.items() if digest}
                if not self.place.swap(name, canonical_json(frozen) + b"\n", None):
                    self.place.read(name)  # what another machine froze first
        return json.loads(path.read_bytes())

    def frozen_current(self, key: str) -> str | None:
        """Digest that was current for `key` when this run was frozen."""
        return json.loads((self.folder / "inputs.json").read_bytes())["current"].get(key)

    def frozen_serving(self, key: str) -> str | None:
        """Digest of the release that served when this run was frozen."""
        return json.loads((self.folder / "inputs.json").read_bytes())["serving"].get(key)

    def resolve(self, key: str) -> str:
        """Digest of `key` for this run: its own output, else what was current at launch. Raises UserError."""
        digest = self.own(key) or self.frozen_current(key)
        if digest is None:
            raise UserError(
                f"{key} has no version yet",
                rule="an artifact is made from versions that stand when its run begins",
                mend=f"make it first: forge run --select {key}",
            )
        return digest

    def own(self, key: str) -> str | None:
        """Digest of `key` that this run made or reused, if it did."""
        data = self.place.read(self._name(f"outputs/{key}.json"))
        return None if data is None else json.loads(data)["digest"]

    def note_output(self, key: str, entry: dict[str, Any]) -> None:
        """Record what this run made or reused under `key`."""
        self.place.write(self._name(f"outputs/{key}.json"), json.dumps(entry).encode())

    def note_error(self, key: str, error: Exception) -> None:
        """Keep why `key` was not made, for whoever started the run; what was not foreseen with its traceback."""
        foreseen = isinstance(error, ForgeError)
        entry = {
            "key": key,
            "kind": type(error).__name__,
            "message": str(error) if foreseen else "".join(traceback.format_exception(error)),
            "exit_code": error.exit_code if isinstance(error, ForgeError) else ForgeError.exit_code,
        }
        with suppress(RemoteError):  # a shared store that is down is then the very error, and it is kept here
            self.place.write(self._name(f"errors/{key}.json"), json.dumps(entry).encode())

    def errors(self) -> list[dict[str, Any]]:
        """Why artifacts of this run were not made."""
        return list(self._noted("errors").values())

    def note_untold(self, problem: str) -> None:
        """Keep what somebody outside was not told of, for whoever started the run."""
        path = self.folder / "untold.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as stream:  # one write of a line that is short: steps side by side do not mix theirs
            stream.write(json.dumps(problem).encode() + b"\n")

    def untold(self) -> list[str]:
        """What somebody outside was not told of, in order."""
        path = self.folder / "untold.jsonl"
        return [json.loads(line) for line in path.read_bytes().splitlines()] if path.is_file() else []

    def outputs(self) -> dict[str, dict[str, Any]]:
        """Every output of this run so far, by key."""
        return self._noted("outputs")

    def _noted(self, what: str) -> dict[str, dict[str, Any]]:
        """By key, what the steps of this run noted, on whatever machine."""
        folder = self._name(what)
        values = {name: self.place.read(name) for name in self.place.names(folder)}
        return {
            name.removeprefix(f"{folder}/").removesuffix(".json"): json.loads(data)
            for name, data in values.items()
            if data is not None
        }

    def progress_of(self) -> dict[str, dict[str, Any]]:
        """Last progress of each stage of this run, by key."""
        folder = self.folder / "progress"
        return {
            path.relative_to(folder).with_suffix("").as_posix(): json.loads(path.read_bytes())
            for path in sorted(folder.rglob("[!.]*.json"))
        }


class ProgressFile:
    """Progress of one stage as a small JSON file that any process can watch."""

    def __init__(self, run: Run, key: str) -> None:
        self.path = run.folder / "progress" / f"{key}.json"
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.last = 0.0

    def write(self, done: int, total: int, text: str, *, state: str = "running") -> None:
        """Replace the file, at most every PROGRESS_INTERVAL unless the stage changes state or ends."""
        now = time.monotonic()
        if state == "running" and done < total and now - self.last < PROGRESS_INTERVAL:
            return
        self.last = now
        staged = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        staged.write_text(json.dumps({"done": done, "total": total, "text": text, "state": state}))
        staged.replace(self.path)


def run_folders(home: Home) -> list[Path]:
    """Folders of all runs, oldest first."""
    return sorted((path for path in home.runs.glob("*") if path.is_dir()), key=lambda path: path.stat().st_mtime)
