"""Make one artifact: verify inputs, reuse by fingerprint, run in staging, judge, record, state, point."""

import errno
import hashlib
import importlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from forge_dagster.errors import IntegrityError, SourceError, StorageError, VerdictError
from forge_dagster.provenance.beside import load_findings, write_beside
from forge_dagster.provenance.code_version import code_version
from forge_dagster.provenance.context import RecordedContext
from forge_dagster.provenance.energy import measured
from forge_dagster.provenance.files import content_digest, list_files, remove, write_atomically
from forge_dagster.provenance.incumbent import GoingOn, Serving, kept, served
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.place import only_writer
from forge_dagster.provenance.record import FileEntry, Identity, InputRef, Record
from forge_dagster.provenance.run import ProgressFile, Run
from forge_dagster.stage import START, Finding, FrozenModel, Report, Stage

WAIT = 6 * 3600.0  # seconds a second run waits for the artifact in the making by a first


@dataclass(frozen=True, kw_only=True)
class External:
    """Bytes outside the store that a stage reads: what people call them, how their digest is taken.

    `path` reaches the stage among its inputs; where they are no file, the stage's configuration says where they are.
    """

    what: str
    measure: Callable[[], str]
    path: Path | None = None


def nothing_stated(content: Path) -> Mapping[str, Any]:
    """Most artifacts are stated by their digests alone."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Order:
    """All that decides one artifact."""

    key: str
    module: str
    inputs: Mapping[str, str]
    external: Mapping[str, External]
    config: FrozenModel
    numerics: Mapping[str, Any] | None
    serving: Serving | None = None
    kept_by: tuple[str, ...] = ()
    """Releases: what the first of them that serves was made with is taken as it is."""
    states: Callable[[Path], Mapping[str, Any]] = nothing_stated
    force: bool = False


@dataclass(frozen=True, kw_only=True)
class Built:
    """What came of an order."""

    record: Record
    findings: list[Finding]
    reused: bool
    seconds: float
    is_current: bool
    folder: Path


def stage_of(module: str) -> Stage:
    """The STAGE of a hop's module."""
    return importlib.import_module(module).STAGE


def identity_of(order: Order, digests: Mapping[str, str], serves: Mapping[str, InputRef]) -> Identity:
    """Identity of an order, given the digest of each artifact key it reads, and what it reads of what serves."""
    inputs = {name: InputRef(key=key, digest=digests[key]) for name, key in order.inputs.items()} | dict(serves)
    inputs |= {name: InputRef(key=None, digest=item.measure()) for name, item in order.external.items()}
    return Identity(
        key=order.key,
        inputs=inputs,
        config=config_of(order, inputs).model_dump(mode="json"),
        code_version=code_version(order.module),
        numerics=order.numerics if stage_of(order.module).computes_floats else None,
    )


def config_of(order: Order, inputs: Mapping[str, Any]) -> FrozenModel:
    """Configuration of an order, by the names of what it reads."""
    return order.serving.config if isinstance(order.serving, GoingOn) and START in inputs else order.config


def build(run: Run, order: Order, *, actor: str, say: Callable[[str], None]) -> Built:
    """Make the artifact of `order` in `run`, or reuse the one that stands. `say` gets messages for people.

    Raises UserError if an input has no version, IntegrityError if an input's bytes differ from its record,
    VerdictError if a blocking check refuses the output, StorageError if the disk is full.
    """
    started = time.monotonic()
    store, progress = run.store, ProgressFile(run, order.key)
    try:
        with only_writer(run.home, order.key, wait=WAIT, waiting=say):
            _sweep(store.folder(order.key), run)
            digests = {key: run.resolve(key) for key in order.inputs.values()}
            current = run.frozen_serving(order.serving.release) if order.serving else None
            identity = identity_of(order, digests, served(store, order.serving, current, digests))
            read = {name: (ref.key, ref.digest) for name, ref in identity.inputs.items() if ref.key is not None}
            fingerprint = identity.fingerprint()
            keep = kept(store, order.key, {name: run.frozen_serving(name) for name in order.kept_by})
            if keep is not None:
                standing: Record | None = store.verify(order.key, keep)
            else:
                standing = None if order.force else _standing(run, order.key, fingerprint, say)
            if standing is None:
                for key, digest in sorted(set(read.values())):
                    store.verify(key, digest)
                record, findings = _make(run, order, identity, read, progress, actor, say)
            else:
                record, findings = standing, load_findings(store, order.key, standing.digest)
            record = store.share(record)
            said = order.states(store.content(order.key, record.digest))
            if order.force:
                said = {**said, "forced": True}  # made again though it stood: a person wanted it so
            is_current = _state_and_point(run, record, said, reused=standing is not None, actor=actor, say=say)
    except OSError as error:
        progress.write(0, 1, "failed", state="failed")
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StorageError(
                f"no room to write {error.filename or run.home.root}: {error.strerror}",
                rule="an artifact is staged whole before it is moved into place",
                mend=f"free space under {run.home.root}, then run the same command again",
            ) from error
        raise
    except BaseException:
        progress.write(0, 1, "failed", state="failed")
        raise
    seconds = time.monotonic() - started
    built = Built(
        record=record,
        findings=findings,
        reused=standing is not None,
        seconds=seconds,
        is_current=is_current,
        folder=store.version(order.key, record.digest),
    )
    run.note_output(order.key, {"digest": record.digest, "reused": built.reused, "seconds": round(seconds, 3)})
    progress.write(1, 1, "reused" if built.reused else "made", state="done")
    return built


def _sweep(folder: Path, run: Run) -> None:
    """Remove what a crashed run left in staging; the lock of the key says nobody is at work there."""
    for left in folder.glob(".staging-*"):
        remove(left)


def _standing(run: Run, key: str, fingerprint: str, say: Callable[[str], None]) -> Record | None:
    digests = run.store.by_fingerprint(key, fingerprint)
    if not digests:
        return None
    digest = digests[-1]
    run.store.here(key, digest)
    try:
        return run.store.verify(key, digest, fingerprint)
    except IntegrityError as error:
        aside = run.home.work / "damaged" / key / f"{digest}-{time.time_ns()}"
        aside.parent.mkdir(parents=True, exist_ok=True)
        run.store.version(key, digest).rename(aside)
        say(f"{key}@{digest[:12]} is damaged and was moved to {aside}; making it again. {error.problem}")
        Ledger(run.home.ledger).append("damaged", {"key": key, "digest": digest, "problem": error.problem})
        return run.store.verify(key, digest, fingerprint) if run.store.stands(key, digest) else None


def _make(
    run: Run,
    order: Order,
    identity: Identity,
    read: Mapping[str, tuple[str, str]],
    progress: ProgressFile,
    actor: str,
    say: Callable[[str], None],
) -> tuple[Record, list[Finding]]:
    stage, store, fingerprint = stage_of(order.module), run.store, identity.fingerprint()
    staging = store.folder(order.key) / f".staging-{run.run_id}"
    work, cache = run.home.work / order.key / fingerprint, run.home.cache / order.key
    if order.force:
        remove(cache)
    for folder in (staging / "content", staging / "beside", work, cache):
        folder.mkdir(parents=True, exist_ok=True)
    inputs = {name: store.content(key, digest) for name, (key, digest) in read.items()}
    inputs |= {name: item.path for name, item in order.external.items() if item.path is not None}
    context = RecordedContext(work=work, beside=staging / "beside", cache=cache, progress=progress, say=say)
    progress.write(0, 1, "starting", state="starting")
    begun, clock, energy = datetime.now(UTC), time.monotonic(), dict[str, Any]()
    on_gpu = (identity.numerics or {}).get("device") == "cuda"
    try:
        with context.watching_signals(), measured(energy, gpu=on_gpu):
            report = stage.run(inputs, config_of(order, inputs), staging / "content", context)
        _still_as_it_was(order, identity, report)
        files = list_files(staging / "content")
        digest = content_digest(files)
        findings = stage.check(staging / "content") if stage.check else []
        _judge(run, order.key, digest, findings)
        seconds = round(time.monotonic() - clock, 3)
        spent = {"begun": begun.isoformat(timespec="seconds"), "seconds": seconds, "energy": energy}
        write_beside(staging / "beside", run.run_id, actor, spent, findings)
        record = _record(identity, report, files, digest)
        store.commit(staging, record)
    finally:
        remove(staging)
    made = store.by_fingerprint(order.key, fingerprint)
    if len(made) > 1:
        # Both stay; somebody has to look, for one fingerprint promises one content.
        Ledger(run.home.ledger).append(
            "conflict", {"key": order.key, "fingerprint": fingerprint, "digests": made, "run": run.run_id}
        )
    remove(work)
    return record, findings


def _still_as_it_was(order: Order, identity: Identity, report: Report) -> None:
    for name, item in order.external.items():
        if (report.read.get(name) or item.measure()) != identity.inputs[name].digest:
            raise SourceError(
                f"{item.what} changed while it was read",
                rule="a snapshot is of one moment",
                mend="run again when it is quiet",
            )


def _record(identity: Identity, report: Report, files: Mapping[str, Any], digest: str) -> Record:
    return Record(
        digest=digest,
        fingerprint=identity.fingerprint(),
        identity=identity,
        report=report,
        files={name: FileEntry.model_validate(entry) for name, entry in files.items()},
    )


def _judge(run: Run, key: str, digest: str, findings: list[Finding]) -> None:
    refused = [finding for finding in findings if finding.blocking and not finding.passed]
    if not refused:
        return
    path = run.home.verdicts / key / f"{digest}.json"
    write_atomically(path, json.dumps([finding.model_dump(mode="json") for finding in findings], indent=1).encode())
    raise VerdictError(
        f"{key}: "
        + "; ".join(f"check {finding.name} failed, observed {dict(finding.observed)}" for finding in refused),
        rule="an output that a check refuses never becomes an artifact",
        mend=f"look at {path}, mend the input, run again",
        findings=[finding.model_dump(mode="json") for finding in findings],
    )


def _state_and_point(
    run: Run, record: Record, said: Mapping[str, Any], *, reused: bool, actor: str, say: Callable[[str], None]
) -> bool:
    """Append the statement, then move CURRENT if it is still where this run saw it. Return whether it is."""
    ledger, key = Ledger(run.home.ledger), record.key
    if not reused or not ledger.states(key, record.digest, record.fingerprint):
        ledger.append(
            "artifact",
            {
                "key": key,
                "digest": record.digest,
                "fingerprint": record.fingerprint,
                "record": hashlib.sha256(record.to_bytes()).hexdigest(),
                "inputs": {name: ref.model_dump() for name, ref in record.identity.inputs.items()},
                "run": run.run_id,
                "actor": actor,
                **said,
            },
        )
    if run.store.current(key) == record.digest:
        return True
    seen = run.own(key) or run.frozen_current(key)
    if not run.store.move(key, record.digest, seen):
        now = run.store.current(key)
        say(f"{key} was moved to {str(now)[:12]} by another run; {record.digest[:12]} is kept beside it")
        return False
    ledger.append("current", {"key": key, "digest": record.digest, "previous": seen, "run": run.run_id})
    return True
