"""Notices that a source's content moved, and asks for its documents to be read again."""

import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import dagster as dg

from forge_dagster.automation import Sensor
from forge_dagster.corpus.settling import Settling
from forge_dagster.corpus.snapshot import snapshot_config
from forge_dagster.corpus.standing import accepted, look, moves, raw_key, refused, standing
from forge_dagster.declared import load_declared
from forge_dagster.errors import SourceError
from forge_dagster.home import home
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.source import PlacedSource
from sensors.runs import reading, status_of


class Found(NamedTuple):
    """What a source that settled holds, by partition: content to be read, and content that waits for a person."""

    wanted: dict[str, str]
    held: dict[str, str]
    why: str


def evaluate(context: dg.SensorEvaluationContext, now: float) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """Ask for each partition whose content is not what its current version was made from, once it is quiet.

    Pure: it reads sources, store, ledger and runs, and writes the cursor alone. The key of a request names the
    content and the statement that moved what is current: it is asked for once, whatever became of cursor and run.
    """
    before = {name: Settling.model_validate(each) for name, each in json.loads(context.cursor or "{}").items()}
    after: dict[str, Settling] = {}
    said: list[str] = []
    requests: dict[str, str] = {}
    for name, placed in load_declared().sources.items():
        state = before.get(name, Settling())
        try:
            state = state.seen(snapshot_config(placed).watermark(), now)
            made, state, line = _step(context.instance, name, placed, state, now)
        except (SourceError, OSError) as error:
            made, line = {}, f"{name} is held, for it cannot be looked at: {error}"
        requests |= made
        after[name] = state
        said += [line] if line else []
    for partition, key in requests.items():
        yield dg.RunRequest(run_key=key, partition_key=partition)
    for line in said:
        context.log.info(line)
    if not requests:
        yield dg.SkipReason("; ".join(said) or "no source moved")
    context.update_cursor(json.dumps({name: each.model_dump() for name, each in after.items()}, sort_keys=True))


def _step(
    instance: dg.DagsterInstance, name: str, placed: PlacedSource, state: Settling, now: float
) -> tuple[dict[str, str], Settling, str]:
    """Requests by partition, the source's next state, and what there is to say of it."""
    if not (state.waits or state.held):
        return {}, state, state.why
    if state.waits and (left := state.left(placed.source.watch, now)):
        return {}, state, f"{name} moved; it is looked into after {left:.0f} s of quiet"
    if run := reading(instance, placed.source.partitions):  # what it will have read is not known yet
        return {}, state, f"{name} is being read by run {run}"
    found = _freed(state) if state.held else _look(placed, state)
    last = moves(Ledger(home().ledger), map(raw_key, found.wanted)) if found.wanted else {}
    keys = {part: f"{raw_key(part)}@{what} after {last[raw_key(part)]}" for part, what in found.wanted.items()}
    requests = {part: key for part, key in keys.items() if state.requested.get(part) != key}
    why = found.why
    if not why and keys.keys() != requests.keys():
        why = f"{name} was asked for, and its run did not make it: see that run, then forge run"
    return requests, state.acted(now, requests, found.held, why), why


def _freed(state: Settling) -> Found:
    """What is held, apart from what a person accepted."""
    ledger = Ledger(home().ledger)
    wanted = {name: content for name, content in state.held.items() if content in accepted(ledger, name)}
    held = {name: content for name, content in state.held.items() if name not in wanted}
    return Found(wanted, held, state.why if held else "")


def _look(placed: PlacedSource, state: Settling) -> Found:
    """Compare a source's content with what stands."""
    store, ledger = ArtifactStore(home().artifacts), Ledger(home().ledger)
    found = Found({}, {}, "")
    for partition, shard in placed.source.partitions.items():
        stands = standing(store, partition)
        if stands is None:
            found.wanted[partition] = state.mark  # it is read for the first time by its run, not by a tick
            continue
        seen = look(home(), partition, snapshot_config(placed, shard))
        if seen.content in stands.contents:
            continue
        why = refused(seen, stands, placed.source.watch.least_share)
        if why and seen.content not in accepted(ledger, partition):
            found.held[partition] = seen.content
            name = placed.source.name
            line = f"{name} is held: {placed.location} {why}. If that is meant: forge sources accept {name}"
            found = found._replace(why=line)
        else:
            found.wanted[partition] = seen.content
    return found


def source_changes_sensor(job: Any, settings: Sensor) -> dg.SensorDefinition:
    """The sensor, which asks for partitions of `job`."""

    @dg.sensor(
        name="source_changes",
        job=job,
        minimum_interval_seconds=settings.every_seconds,
        default_status=status_of(settings),
        description="Asks for the partitions whose content changed; touching a file asks for nothing.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        yield from evaluate(context, time.time())

    return sensor
