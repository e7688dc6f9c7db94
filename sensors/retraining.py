"""Has each recipe's retraining decided on when something changed, and asks for the training that a decision wants."""

import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import dagster as dg

from assets.asset import dagster_key
from assets.decisions import decision_hops, decision_key, last_checkpoint, recipe_assets, use_of
from assets.graph import all_hops
from assets.hop import Hop
from forge_dagster.automation import Sensor
from forge_dagster.corpus.standing import moves
from forge_dagster.declared import Declared, load_declared
from forge_dagster.evaluation.retraining_decision import read_decision, read_measured
from forge_dagster.home import home
from forge_dagster.provenance.approval import approved
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.provenance.incumbent import served
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.record import InputRef, Record
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.recipe import Recipe
from forge_dagster.retraining import Hold, asks_by_use
from sensors.runs import status_of, unfinished

DECISION_TAG = "forge/decision"
AGAIN_AFTER = timedelta(hours=1)
"""A failed training is asked for once more: by then a full disk or a remote that was away may be mended."""


class Step(NamedTuple):
    """What one recipe comes to: what is asked for, if anything, and what there is to say."""

    request: dg.RunRequest | None
    line: str


def evaluate(context: dg.SensorEvaluationContext, now: datetime) -> Iterator[dg.RunRequest | dg.SkipReason]:
    """For each recipe: ask for a decision where the last one is of other inputs, or for the training that it wants.

    Pure: it reads store, ledger and runs. The key of a training is the digest of its decision, so it is asked for
    once, and once more if it failed; what was trained on the same shards and judged is not asked for at all.
    """
    declared = load_declared()
    hops = all_hops(declared)
    steps = [_step(context.instance, declared, hops, hop, now) for hop in decision_hops(declared)]
    asked = [step.request for step in steps if step.request]
    for step in steps:
        context.log.info(step.line)
    yield from asked
    if not asked:
        yield dg.SkipReason("; ".join(step.line for step in steps) or "there is no recipe")


def _step(instance: dg.DagsterInstance, declared: Declared, hops: Sequence[Hop], hop: Hop, now: datetime) -> Step:
    store, ledger = ArtifactStore(home().artifacts), Ledger(home().ledger)
    name = hop.asset.split("/")[0]
    recipe, key = declared.recipes[name], decision_key(name)
    current = {each: store.current(each) for each in hop.inputs.values()}
    if missing := sorted(each for each, digest in current.items() if digest is None):
        return Step(None, f"{name}: {', '.join(missing)} was never made: forge run")
    upstream = ancestors(hops, [*hop.inputs.values(), *recipe_assets(recipe)])
    if run := unfinished(instance, {*upstream, key}):
        return Step(None, f"{name}: waits for run {run}")
    digest = store.current(key)
    found = read_decision(store.content(key, digest)) if digest else None
    release = store.serving(f"{name}/release")
    serves = served(store, hop.serving(declared), release, {})
    is_of_now = digest is not None and any(
        _is_of(record, hop, current, serves, declared, name) for record in store.records(key, digest)
    )
    over = isinstance(found, Hold) and (
        (found.until is not None and found.until <= now) or _use_asks(store, key, str(digest), declared, now)
    )
    if digest is None or found is None or not is_of_now or over:
        last = max(moves(ledger, [*current, f"{name}/release", key]).values())
        situation = [sorted(current.items()), declared.policy_of(name).model_dump(mode="json"), release, str(over)]
        request = dg.RunRequest(
            run_key=f"{key} {fingerprint([str(each) for each in situation])} after {last}",
            job_name="decisions",
            asset_selection=[dagster_key(key)],
        )
        return Step(request, f"{name}: is decided on")
    told = "; ".join(reason.text for reason in found.reasons if reason.speaks != "nothing") or "nothing asks for it"
    if isinstance(found, Hold):
        return Step(None, f"{name}: held: {told}")
    if was := _judged(store, recipe, hop):
        return Step(None, f"{name}: was trained on these documents: {was}")
    if found.needs_approval and digest not in approved(ledger):
        return Step(None, f"{name}: {told}; it costs too much to start by itself: forge retrain approve {name}")
    attempt, waits = _attempt(instance, digest, now)
    if waits:
        return Step(None, f"{name}: {waits}")
    request = dg.RunRequest(
        run_key=f"{name} by decision {digest}{attempt}",
        job_name="models",
        asset_selection=sorted(dagster_key(each) for each in {*upstream, *recipe_assets(recipe)}),
        tags={DECISION_TAG: digest},
    )
    return Step(request, f"{name}: is trained: {told}")


def _use_asks(store: ArtifactStore, key: str, digest: str, declared: Declared, now: datetime) -> bool:
    """Whether prompts or answers since a decision ask for a training, which those before it did not."""
    policy = declared.policy_of(key.partition("/")[0])
    before = read_measured(store.content(key, digest))
    asks = [
        {reason.measure for reason in asks_by_use(each, policy) if reason.speaks == "retrain"}
        for each in (before, before.model_copy(update={"use": use_of(policy, now)}))
    ]
    return bool(asks[1] - asks[0])


def _attempt(instance: dg.DagsterInstance, decision: str, now: datetime) -> tuple[str, str]:
    """What names the next training by a decision, and why there is none: a failed one is asked for once more.

    A run that a person stopped is not; nor is one whose process died, which Dagster tries again by itself.
    """
    records = instance.get_run_records(dg.RunsFilter(tags={DECISION_TAG: decision}))
    runs = sorted(
        (each for each in records if each.dagster_run.parent_run_id is None), key=lambda each: each.storage_id
    )
    if not runs:
        return "", ""
    last, others = max(records, key=lambda each: each.storage_id), len(runs) > 1
    if last.dagster_run.status == dg.DagsterRunStatus.CANCELED:
        return "", f"its training was stopped, see run {last.dagster_run.run_id}; forge run makes it"
    if last.dagster_run.status != dg.DagsterRunStatus.FAILURE:
        return "", ""  # the key of the first is known, so nothing starts
    named = f"training by this decision failed, see run {last.dagster_run.run_id}"
    if others:
        return "", f"the second {named}; mend what it says, then forge run"
    again = datetime.fromtimestamp(last.end_time or last.update_timestamp.timestamp(), UTC) + AGAIN_AFTER
    return (" again", "") if again <= now else ("", f"the {named}; it is asked for once more at {again:%H:%M} UTC")


def _is_of(
    record: Record,
    hop: Hop,
    current: Mapping[str, str | None],
    serving: Mapping[str, InputRef],
    declared: Declared,
    name: str,
) -> bool:
    """Whether a decision is of the artifacts, the serving model and the policy of now."""
    identity = record.identity
    same = all(identity.inputs[place].digest == current[key] for place, key in hop.inputs.items())
    serves = {place: ref for place, ref in identity.inputs.items() if place.startswith(("serving/", "former/"))}
    policy = declared.policy_of(name).model_dump(mode="json")
    return same and serves == serving and identity.config["policy"] == policy


def _judged(store: ArtifactStore, recipe: Recipe, hop: Hop) -> str:
    """What came of a training on the current shards that was judged; empty if there was none."""
    first, last = recipe_assets(recipe)[0], last_checkpoint(recipe)
    scorecard, release = f"{recipe.name}/scorecard", f"{recipe.name}/release"
    made = {key: store.current(key) for key in (first, last, scorecard)}
    if None in made.values():
        return ""
    shards = {ref.digest for ref in _inputs(store, first, str(made[first])) if ref.key == hop.inputs["token_shards"]}
    scored = {ref.digest for ref in _inputs(store, scorecard, str(made[scorecard])) if ref.key == last}
    if store.current(hop.inputs["token_shards"]) not in shards or made[last] not in scored:
        return ""
    serves = store.current(release)
    released = serves is not None and made[last] in {ref.digest for ref in _inputs(store, release, serves)}
    return "it serves" if released else f"its gates hold it back, see forge scorecard {recipe.name}"


def _inputs(store: ArtifactStore, key: str, digest: str) -> list[InputRef]:
    return [ref for record in store.records(key, digest) for ref in record.identity.inputs.values()]


def ancestors(hops: Sequence[Hop], keys: Sequence[str]) -> set[str]:
    """These artifacts and all they are made from that join the sources."""
    by_key = {hop.key: hop for hop in hops}
    found: set[str] = set()
    waiting = list(keys)
    while waiting:
        hop = by_key[waiting.pop()]
        if hop.key not in found and hop.partition is None:
            found.add(hop.key)
            waiting += hop.inputs.values()
    return found


def retraining_sensor(jobs: Sequence[Any], settings: Sensor) -> dg.SensorDefinition:
    """The sensor, which asks for runs of the jobs `decisions` and `models`."""

    @dg.sensor(
        name="retraining",
        jobs=jobs,
        minimum_interval_seconds=settings.every_seconds,
        default_status=status_of(settings),
        description="Has retraining decided on when something changed, and asks for the training that is wanted.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        yield from evaluate(context, datetime.fromtimestamp(time.time(), UTC))

    return sensor
