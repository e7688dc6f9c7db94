"""What a run would do: for each artifact, whether its fingerprint already stands in the store."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from assets.hop import Hop
from forge_dagster.declared import Declared
from forge_dagster.errors import IntegrityError, UserError
from forge_dagster.home import Home
from forge_dagster.provenance.build import Order, identity_of
from forge_dagster.provenance.incumbent import kept, served
from forge_dagster.provenance.record import Identity
from forge_dagster.provenance.store import ArtifactStore

State = Literal["current", "reusable", "stale", "missing", "held"]


WORK = ("stale", "missing")


@dataclass(frozen=True, kw_only=True)
class Planned:
    """One artifact of a plan: `current` needs nothing, `reusable` the pointer, `held` a person, the others work."""

    hop: Hop
    state: State
    digest: str | None
    why: str


def plan(
    home: Home,
    declared: Declared,
    hops: Sequence[Hop],
    chosen: Sequence[Hop],
    *,
    verify: bool,
    held: Mapping[str, str] | None = None,
) -> list[Planned]:
    """Compare the fingerprint of each chosen hop with the store, in the order of `hops`.

    `hops` holds the chosen and their ancestors; ancestors that are not chosen are taken as CURRENT has them.
    `verify` re-hashes what would be reused. `held`: artifacts that are taken as they stand, and why.
    """
    store = ArtifactStore(home.artifacts)
    keys = {hop.key for hop in chosen}
    planned: dict[str, Planned] = {}
    for hop in hops:
        if held and hop.key in held:
            planned[hop.key] = Planned(hop=hop, state="held", digest=store.current(hop.key), why=held[hop.key])
        elif hop.key in keys:
            planned[hop.key] = _plan_one(store, declared, hop, planned, verify)
        else:
            current = store.current(hop.key)
            planned[hop.key] = Planned(hop=hop, state="current" if current else "missing", digest=current, why="")
    return [planned[key] for key in planned if key in keys]


def _plan_one(store: ArtifactStore, declared: Declared, hop: Hop, planned: dict[str, Planned], verify: bool) -> Planned:
    current = store.current(hop.key)
    waits = [key for key in hop.inputs.values() if planned[key].state in WORK or planned[key].digest is None]
    if waits:
        state: State = "stale" if current else "missing"
        return Planned(hop=hop, state=state, digest=current, why=f"waits for {', '.join(waits)}")
    digests = {key: str(planned[key].digest) for key in hop.inputs.values()}
    order = hop.order(declared)
    keep = kept(store, hop.key, {name: store.serving(name) for name in order.kept_by})
    if keep is not None:
        state = "current" if keep == current else "reusable"
        return Planned(hop=hop, state=state, digest=keep, why="" if keep == current else "the model that serves has it")
    identity = _identity(store, order, digests)
    fingerprint = identity.fingerprint()
    standing = store.by_fingerprint(hop.key, fingerprint)
    if not standing:
        if current is None:
            return Planned(hop=hop, state="missing", digest=None, why="never made")
        return Planned(hop=hop, state="stale", digest=current, why=_difference(store, hop, identity, current))
    digest = standing[-1]
    if verify and store.version(hop.key, digest).exists():  # else it is verified when it is brought
        try:
            store.verify(hop.key, digest, fingerprint)
        except IntegrityError as error:
            return Planned(hop=hop, state="stale", digest=digest, why=f"damaged: {error.problem}")
    same = digest == current
    return Planned(hop=hop, state="current" if same else "reusable", digest=digest, why="" if same else "stands")


def _identity(store: ArtifactStore, order: Order, digests: dict[str, str]) -> Identity:
    current = store.serving(order.serving.release) if order.serving else None
    return identity_of(order, digests, served(store, order.serving, current, digests))


def _difference(store: ArtifactStore, hop: Hop, new: Identity, current: str) -> str:
    """Which part of the identity differs from the current version's."""
    old = store.record(hop.key, current).identity
    changed = [name for name in ("config", "code_version", "numerics") if getattr(old, name) != getattr(new, name)]
    inputs = [name for name in {*old.inputs, *new.inputs} if old.inputs.get(name) != new.inputs.get(name)]
    return ", ".join([*(f"input {name} changed" for name in sorted(inputs)), *(f"{name} changed" for name in changed)])


def select(hops: Sequence[Hop], wanted: Iterable[str]) -> list[Hop]:
    """The hops named by asset or artifact key. Raises UserError on a name that is none."""
    names = list(wanted)
    known = {hop.asset for hop in hops} | {hop.key for hop in hops}
    for name in names:
        if name not in known:
            raise UserError(
                f"--select {name!r}", rule="an asset or artifact key", mend="see `forge status` for the keys"
            )
    return [hop for hop in hops if hop.asset in names or hop.key in names]


def with_ancestors(hops: Sequence[Hop], wanted: Sequence[Hop]) -> list[Hop]:
    """`wanted` and everything they are made from, in the order of `hops`."""
    by_key = {hop.key: hop for hop in hops}
    needed: set[str] = set()
    todo = [hop.key for hop in wanted]
    while todo:
        key = todo.pop()
        if key not in needed:
            needed.add(key)
            todo += by_key[key].inputs.values()
    return [hop for hop in hops if hop.key in needed]


def is_work(item: Planned) -> bool:
    """Whether a planned artifact needs a step."""
    return item.state != "current"
