"""Doing a recorded training again, whole or from a retained checkpoint, and saying where it comes out otherwise."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from forge_dagster.chain import chain, checkpoint_key
from forge_dagster.declared import Declared
from forge_dagster.errors import InterruptedRun, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.code_version import code_version
from forge_dagster.provenance.files import list_files
from forge_dagster.provenance.record import Record
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.provenance.surroundings import surroundings
from forge_dagster.stage import FrozenModel, LocalContext, local_context
from forge_dagster.training.job import TrainingJob

TOLERANCE = {"cpu": 0.0, "cuda": 0.02}
"""Largest difference of a weight, relative to the largest of its tensor, that counts as the same: kernels of a GPU add
in an order of their own. Never tried on one."""


OF_THE_PROCESS = ("MANIFEST.json", "random.safetensors")
"""Files of a checkpoint that its training does not decide: the random state of the process, from which no step draws,
and digests of all files."""


@dataclass(frozen=True)
class Training:
    """A recorded training with all that it needs to be done again."""

    record: Record
    module: Any
    job: TrainingJob[Any]
    inputs: dict[str, Path]
    run: Mapping[str, Any]

    @property
    def is_pre_training(self) -> bool:
        """Whether it keeps checkpoints that outlive it."""
        return "token_shards" in self.inputs


class Reproduction(FrozenModel):
    """What came of doing a training again."""

    artifact: str
    digest: str
    steps: tuple[int, int] | None
    """First and last step of a segment; none if it was done whole."""
    files: int
    differs: str | None
    """The first file, by name, that is not as recorded."""
    tolerance: float
    environment: Mapping[str, tuple[Any, Any]]
    """What of code, numerics and surroundings is otherwise than it was: (recorded, now)."""


@dataclass
class Until(LocalContext):
    """Is told to stop once so many steps are done."""

    last: int | None = field(default=None, kw_only=True)

    def cancelled(self) -> bool:
        return self.last is not None and bool(self.seen) and self.seen[-1][0] >= self.last


def training_of(home: Home, key: str, digest: str) -> Training:
    """The training behind a checkpoint. Raises UserError if its run or an input is not on this machine."""
    store = ArtifactStore(home.artifacts)
    record = store.record(key, digest)
    run = json.loads((store.here(key, digest) / "beside" / "run.json").read_bytes())
    frozen = home.runs / run["run"] / "inputs.json"
    if not frozen.is_file():
        raise UserError(
            f"{key}@{digest[:12]} was made by run {run['run']}, whose declarations are not in {home.runs}",
            rule="a training is done again from what its run froze",
            mend="run this where it was made, or bring that folder",
        )
    recipe = Declared.model_validate(json.loads(frozen.read_bytes())["declared"]).recipes.get(key.partition("/")[0])
    links = {checkpoint_key(recipe.name, link.entry.called): link for link in chain(recipe)} if recipe else {}
    if key not in links:
        raise UserError(f"{key} is no checkpoint of a recipe", rule=f"one of {', '.join(links) or 'none'}")
    module = links[key].module
    inputs = {}
    for name, ref in record.identity.inputs.items():
        if ref.key is None or not store.stands(ref.key, ref.digest):
            raise UserError(
                f"input {name} of {key}@{digest[:12]} is not in the store",
                rule="a training is done again from the bytes it read",
                mend=f"forge pull {ref.key}@{ref.digest[:12]}" if ref.key else "bring the file that it read",
            )
        inputs[name] = store.content(ref.key, ref.digest)
    of_stage: Any = TrainingJob
    job: TrainingJob[Any] = of_stage[module.Settings].model_validate(record.identity.config)
    return Training(record, module, job, inputs, run)


def reproduce(
    home: Home, key: str, digest: str, steps: tuple[int, int] | None, numerics: Mapping[str, Any]
) -> Reproduction:
    """Do the training of a checkpoint again in a folder of its own, and compare; the store is only read.

    `steps` (first, last) takes the segment between two retained checkpoints; 0 is the beginning, the number of steps
    the end. `numerics` are those of this process under `as_recorded`. Raises UserError, IntegrityError if an input's
    bytes differ from its record.
    """
    store, training = ArtifactStore(home.artifacts), training_of(home, key, digest)
    for ref in set(training.record.identity.inputs.values()):
        store.verify(str(ref.key), ref.digest)
    device = str((training.record.identity.numerics or {}).get("device", "cpu"))
    home.work.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="reproduce-", dir=home.work) as scratch:
        expected, made = _again(home, training, Path(scratch), steps)
        compared = sorted({*expected, *made})
        differing = [name for name in compared if not _same(expected.get(name), made.get(name), TOLERANCE[device])]
    return Reproduction(
        artifact=key,
        digest=digest,
        steps=steps,
        files=len(compared),
        differs=differing[0] if differing else None,
        tolerance=TOLERANCE[device],
        environment=_environment(training, numerics),
    )


@dataclass(frozen=True)
class _File:
    """A file as recorded or as made; `path` is where its bytes are."""

    sha256: str
    path: Path


Files = dict[str, _File]


def _again(home: Home, training: Training, scratch: Path, steps: tuple[int, int] | None) -> tuple[Files, Files]:
    """Files as recorded and as made again."""
    out, plain = scratch / "out", local_context(scratch)
    out.mkdir()
    reference = None if steps is None else _begin(home, training, steps, scratch / "work")
    last = None if steps is None or reference is None else steps[1]
    context = Until(plain.work, plain.beside, plain.cache, last=last)
    try:
        training.module.STAGE.run(training.inputs, training.job, out, context)
    except InterruptedRun:
        if reference is None:
            raise
        made = scratch / "work" / "checkpoints" / reference.name
        return _of_the_training(_listed(reference)), _of_the_training(_listed(made))
    content = ArtifactStore(home.artifacts).content(training.record.key, training.record.digest)
    return {n: _File(entry.sha256, content / n) for n, entry in training.record.files.items()}, _listed(out)


def _of_the_training(files: Files) -> Files:
    return {name: file for name, file in files.items() if name not in OF_THE_PROCESS}


def _begin(home: Home, training: Training, steps: tuple[int, int], work: Path) -> Path | None:
    """Put the checkpoint that a segment begins at into its work folder; return the one it ends at, none at the end."""
    from forge_dagster.stages.base import identity_of
    from forge_dagster.training.retained import begin_at, retained

    first, last = steps
    key, end = training.record.key, training.job.settings.steps if training.is_pre_training else 0
    identity = identity_of(training.job, training.inputs) if training.is_pre_training else {}
    found = [each for each in retained(home.cache / key) if dict(each.identity) == identity]
    whole = found[0].whole() if found else []
    if first >= last or first not in (0, *whole) or last not in (*whole, end):
        raise UserError(
            f"--steps {first}:{last} of {key}",
            rule=f"from one of {sorted({0, *whole})} to a later one of {sorted({*whole, end})}: beginning and end of a "
            "pre-training, and the checkpoints that were retained of it",
            mend="choose two of these, or leave --steps out to do all of it again",
        )
    if first:
        begin_at(found[0], [step for step in whole if step <= first], work, identity)
    return None if last == end else found[0].at(last)


def _listed(folder: Path) -> Files:
    return {name: _File(str(entry["sha256"]), folder / name) for name, entry in list_files(folder).items()}


def _same(one: _File | None, other: _File | None, tolerance: float) -> bool:
    if one is None or other is None:
        return False
    if one.sha256 == other.sha256:
        return True
    return tolerance > 0 and one.path.suffix == ".safetensors" and distance(one.path, other.path) <= tolerance


def distance(one: Path, other: Path) -> float:
    """Largest difference of two files of tensors, each relative to the largest value of its tensor; inf if unlike."""
    from safetensors.torch import load_file

    mine, theirs = load_file(one), load_file(other)
    if {name: each.shape for name, each in mine.items()} != {name: each.shape for name, each in theirs.items()}:
        return float("inf")
    found = 0.0
    for name, each in mine.items():
        scale = float(each.double().abs().max()) or 1.0
        found = max(found, float((each.double() - theirs[name].double()).abs().max()) / scale)
    return found


def _environment(training: Training, numerics: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    recorded: dict[str, Any] = {**(training.record.identity.numerics or {})}
    recorded |= {"code_version": training.record.identity.code_version}
    now: dict[str, Any] = {**numerics, "code_version": code_version(training.module.__name__)}
    here = surroundings()
    recorded |= {name: training.run.get(name) for name in here}
    now |= here
    return {name: (recorded.get(name), now.get(name)) for name in recorded if recorded.get(name) != now.get(name)}


@contextmanager
def as_recorded(numerics: Mapping[str, Any]) -> Iterator[None]:
    """Let this process compute as a record says: threads, device, micro-batch, compiling, processes."""
    names = {
        "threads": "FORGE_THREADS",
        "device": "FORGE_DEVICE",
        "micro_batch_tokens": "FORGE_MICRO_BATCH",
        "compiled": "FORGE_COMPILE",
        "world_size": "FORGE_PROCESSES",
        "zero_stage": "FORGE_ZERO",
    }
    told = {variable: str(int(numerics[name]) if name != "device" else numerics[name])
            for name, variable in names.items() if numerics.get(name) not in (None, 0) or name == "compiled"
            if name in numerics}  # fmt: skip
    before = {variable: os.environ.get(variable) for variable in told}
    os.environ.update(told)
    try:
        yield
    finally:
        for variable, value in before.items():
            if value is None:
                del os.environ[variable]
            else:
                os.environ[variable] = value
