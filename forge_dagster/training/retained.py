"""Checkpoints that outlive their training: another training goes on from one if it has read the same until there.

A checkpoint after k steps depends on seed, model, settings, code, numerics and what the first k steps read, and on
nothing else. So a training that shares all that may begin at it, and ends with the bits of one that began at step 0.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forge_dagster.provenance.files import remove, write_atomically
from forge_dagster.tokens.mixture import ReadingOrder
from forge_dagster.tokens.reader import Documents
from forge_dagster.training import checkpoint
from forge_dagster.training.batches import pack
from forge_dagster.training.log import Log
from forge_dagster.training.settings import Settings

FOLDER, ABOUT, LOG = "retained", "training.json", "log.jsonl"
DATA = "data"
"""The part of a training's identity that may differ, where what was read until then does not."""
MOST = 2
"""Trainings of one artifact whose checkpoints are kept: the one that serves, perhaps, and the newest."""


@dataclass(frozen=True)
class Retained:
    """The checkpoints of one training."""

    folder: Path
    identity: Mapping[str, str]
    made_by: Mapping[str, Any]
    """Code and numerics."""
    read: Mapping[int, str]
    """Digest of what was read up to each step."""

    def at(self, step: int) -> Path:
        """Folder of the checkpoint after so many steps."""
        return self.folder / f"step-{step:09d}"

    def whole(self) -> list[int]:
        """Steps whose checkpoint is as written and has those that a diverging training would go back to."""
        sound = [step for step in sorted(self.read) if not checkpoint.differs(self.at(step))]
        return [step for step in sound if set(self.anchors(step)) <= set(sound)]

    def anchors(self, step: int) -> list[int]:
        """Steps that a training at this step may go back to."""
        state = json.loads((self.at(step) / "state.json").read_text(encoding="utf-8"))
        return list(state["guard"]["anchors"])


def retained(cache: Path) -> list[Retained]:
    """Every training of an artifact's cache whose checkpoints are kept, newest first."""
    found = sorted((cache / FOLDER).glob(f"*/{ABOUT}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    return [_open(path) for path in found]


def _open(about: Path) -> Retained:
    told = json.loads(about.read_text(encoding="utf-8"))
    read = {int(step): digest for step, digest in told["read"].items()}
    return Retained(about.parent, told["identity"], told["made_by"], read)


def digests_read(documents: Documents, order: ReadingOrder, settings: Settings, steps: list[int]) -> dict[int, str]:
    """SHA-256 of the batches before each of these steps: inputs, labels and where documents begin."""
    found: dict[int, str] = {}
    state = hashlib.sha256()
    for step in range(max(steps, default=0) + 1):
        if step in steps:
            found[step] = state.hexdigest()
        if step < max(steps, default=0):
            for part in pack(documents, order.batch(step), settings.sequence_length):
                state.update(part.numpy().tobytes())
    return found


@dataclass(frozen=True)
class Retention:
    """What a training reads of the checkpoints of others of its artifact, and leaves of its own."""

    cache: Path
    work: Path
    documents: Documents
    order: ReadingOrder
    settings: Settings
    identity: Mapping[str, str]
    made_by: Mapping[str, Any]

    def retain(self) -> None:
        """Move the checkpoints that are to be kept from the work folder of a finished training into the cache."""
        named = json.dumps([dict(self.identity), dict(self.made_by)], sort_keys=True)
        folder = self.cache / FOLDER / hashlib.sha256(named.encode()).hexdigest()[:16]
        remove(folder)
        folder.mkdir(parents=True)
        kept = [path for path in checkpoint.checkpoints(self.work / "checkpoints")
                if checkpoint.step_of(path) in self.settings.retained_steps]  # fmt: skip
        for path in kept:
            shutil.move(path, folder / path.name)
        shutil.copyfile(self.work / LOG, folder / LOG)
        read = self._digests_read([checkpoint.step_of(path) for path in kept])
        about = {"identity": dict(self.identity), "made_by": dict(self.made_by), "read": read}
        write_atomically(folder / ABOUT, json.dumps(about, indent=1, sort_keys=True).encode())
        for old in retained(self.cache)[MOST:]:
            shutil.rmtree(old.folder)

    def adopt(self, *, tell: Callable[[str], None]) -> int:
        """Let a training that has no checkpoint yet begin at the latest one that it may; return its step, 0 if none."""
        if checkpoint.checkpoints(self.work / "checkpoints"):
            return 0
        whole = [(each, each.whole()) for each in retained(self.cache) if self._is_alike(each)]
        steps = sorted({step for _, sound in whole for step in sound if step})
        mine = self._digests_read(steps) if steps else {}
        fitting = [
            (step, each, sound) for each, sound in whole for step in sound if step and each.read[step] == mine[step]
        ]
        if not fitting:
            return 0
        step, source, sound = max(fitting, key=lambda found: found[0])
        begin_at(source, [each for each in sound if each <= step], self.work, self.identity)
        tell(f"beginning after step {step} of an earlier training that read the same until there")
        return step

    def _digests_read(self, steps: list[int]) -> dict[int, str]:
        return digests_read(self.documents, self.order, self.settings, steps)

    def _is_alike(self, each: Retained) -> bool:
        parts = {*self.identity, *each.identity} - {DATA}
        return each.made_by == self.made_by and all(
            each.identity.get(part) == self.identity.get(part) for part in parts
        )


def begin_at(source: Retained, steps: list[int], work: Path, identity: Mapping[str, str]) -> None:
    """Copy whole checkpoints, the last of which a training begins at, and the log of its steps into a work folder."""
    for each in steps:
        found = checkpoint.load(source.folder, each)
        state = {**found.state, "identity": dict(identity)}
        checkpoint.save(work / "checkpoints", each, found.tensors, state, keep=source.read)
    shutil.copyfile(source.folder / LOG, work / LOG)
    Log(work / LOG, steps_done=steps[-1]).close()
