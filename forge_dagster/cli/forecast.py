"""`forge forecast`: what a run would make, reuse and cost, under a digest that the run can be held to."""

import json
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from rich.table import Table

from assets.graph import all_hops
from assets.hop import Hop
from assets.studies import study_key
from forge_dagster.chain import checkpoint_key
from forge_dagster.cli.console import Json, duration, out, print_json
from forge_dagster.cli.plan import WORK, Planned, plan, select, with_ancestors
from forge_dagster.declared import Declared, load_declared, training_job
from forge_dagster.errors import UserError, VerdictError
from forge_dagster.home import Home, home
from forge_dagster.model.size import operations
from forge_dagster.provenance.build import config_of
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.provenance.code_version import code_version
from forge_dagster.provenance.spent import Unit, taken
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.recipe import TokenizerSpec
from forge_dagster.search.trials import most_of_a_trial
from forge_dagster.stage import START, FrozenModel
from forge_dagster.study import Study

READINESS = "readiness"
Agree = Callable[[Sequence[Planned]], None]
"""Is asked before a launch starts anything; raises if it is not what was wanted."""


def _total(known: list[float | None]) -> float | None:
    return None if None in known else sum(each for each in known if each is not None)


def anything(planned: Sequence[Planned]) -> None:
    """Agree to whatever would be done."""


class Step(FrozenModel):
    """One artifact of a plan. Hours are those of its last version; null where it was never made."""

    artifact: str
    state: str
    digest: str | None
    why: str
    asked: str
    """Digest of what decides it beside its inputs: configuration, code, numerics, and bytes outside the store."""
    hours: float | None
    seconds: float | None
    """By the clock, where the hours are known."""
    operations: float | None
    """Floating-point operations of a pre-training, by its shape; null of other steps."""
    tokens: int
    trials: int
    """Of a study, at most; 0 of other steps."""


class Forecast(FrozenModel):
    """What a run for `target` would do; `digest` names exactly this."""

    target: str
    steps: tuple[Step, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over what would be done and what would be reused, without what it costs."""
        kept = {"artifact", "state", "digest", "asked"}
        return fingerprint([self.target, *(each.model_dump(mode="json", include=kept) for each in self.steps)])

    @property
    def work(self) -> tuple[Step, ...]:
        """Artifacts that would be made."""
        return tuple(each for each in self.steps if each.state in WORK)

    @property
    def hours(self) -> float | None:
        """Of all that would be made; null if one was never made."""
        return _total([each.hours for each in self.work])

    @property
    def seconds(self) -> float | None:
        """By the clock, one after another."""
        return _total([each.seconds for each in self.work])

    @property
    def trials(self) -> int:
        """1, or as many as its study has at most."""
        return max(1, sum(each.trials for each in self.work))

    @property
    def tokens(self) -> int:
        """That the pre-trainings read."""
        return sum(each.tokens for each in self.work)

    def told(self, unit: Unit) -> dict[str, Any]:
        """As plain data."""
        reused = {each.artifact: each.digest for each in self.steps if each.state not in WORK}
        known = [each.operations for each in self.work if each.operations is not None]
        return {
            "target": self.target,
            "plan": self.digest,
            "makes": [each.model_dump(mode="json", exclude={"asked"}) for each in self.work],
            "reuses": reused,
            "cost": {"hours": self.hours, "unit": unit, "operations": sum(known) or None, "tokens": self.tokens},
        }


def command(
    target: Annotated[str, typer.Argument(help=f"RECIPE, study/NAME, or {READINESS} for the report on the documents.")],
    json: Json = False,
) -> None:
    """Show what `forge run --recipe RECIPE` would make, what it would reuse, and what that costs as far as is known.

    Nothing is changed. `forge run --recipe RECIPE --plan DIGEST` does exactly this, or refuses if it no longer holds.

    Examples: `forge forecast tiny-dense`; `forge forecast readiness --json`.
    """
    found = foresee(home(), load_declared(), target, "processor")
    told = found.told("processor")
    if json:
        print_json(told)
        return
    table = Table("makes", "because", "hours of the last", "operations", "tokens", box=None, pad_edge=False)
    for step in found.work:
        hours = "-" if step.hours is None else duration(step.hours * 3600)
        needs = "-" if step.operations is None else f"{step.operations:.3g}"
        table.add_row(step.artifact, step.why, hours, needs, f"{step.tokens:,}" if step.tokens else "-")
    out.print(table)
    hours = "not known: some of it was never made" if found.hours is None else duration(found.hours * 3600)
    out.print(f"{len(found.work)} artifacts are made, {len(told['reuses'])} reused; processor time {hours}")
    out.print(f"plan {found.digest}", soft_wrap=True)


def held_to(home: Home, declared: Declared, target: str, digest: str) -> Agree:
    """Agree to the plan with this digest alone: raises VerdictError if it does not hold."""

    def agree(planned: Sequence[Planned]) -> None:
        found = of_plan(home, declared, target, planned, "processor").digest
        if found != digest:
            raise VerdictError(
                f"plan {digest:.12} for {target} no longer holds; it would be {found:.12} now",
                rule="a run does what was agreed to, or nothing",
                mend=f"look at it again: forge forecast {target}",
            )

    return agree


def chosen_for(declared: Declared, hops: Sequence[Hop], target: str) -> list[Hop]:
    """The hops of a recipe, of a study, or of the readiness report, with all they need. Raises UserError."""
    alone = [READINESS, *map(study_key, declared.studies)]
    if target in alone:
        return with_ancestors(hops, select(hops, [target]))
    if target not in declared.recipes:
        rule = f"one of {', '.join([*alone, *declared.recipes])}"
        raise UserError(f"target {target!r:.80}", rule=rule, mend="name one")
    return with_ancestors(hops, [hop for hop in hops if hop.asset.split("/")[0] == target])


def foresee(home: Home, declared: Declared, target: str, unit: Unit) -> Forecast:
    """What a run for `target` would do now; changes nothing. Raises UserError if there is no such target."""
    hops = all_hops(declared)
    chosen = chosen_for(declared, hops, target)
    return of_plan(home, declared, target, plan(home, declared, hops, chosen, verify=False), unit)


def of_plan(home: Home, declared: Declared, target: str, planned: Sequence[Planned], unit: Unit) -> Forecast:
    """The same of a plan that was made already."""
    store = ArtifactStore(home.artifacts)
    return Forecast(target=target, steps=tuple(_step(store, declared, item, unit) for item in planned))


def _step(store: ArtifactStore, declared: Declared, item: Planned, unit: Unit) -> Step:
    order = item.hop.order(declared)
    asked = {
        "inputs": dict(order.inputs),
        "external": {name: each.measure() for name, each in order.external.items()},
        "config": [config_of(order, names).model_dump(mode="json") for names in ({}, {START: None})],
        "code_version": code_version(order.module),
        "numerics": json.loads(json.dumps(order.numerics)),
    }
    last = store.current(item.hop.key)
    took = taken(store, item.hop.key, last, None, unit, anywhere=True) if last else None
    study = next((each for each in declared.studies.values() if study_key(each.name) == item.hop.asset), None)
    tokens, needs = _of_trials(declared, study) if study else _pre_training(declared, item.hop)
    return Step(
        artifact=item.hop.key,
        state=item.state,
        digest=item.digest,
        why=item.why,
        asked=fingerprint(asked),
        hours=took.hours if took else None,
        seconds=took.seconds if took else None,
        operations=needs,
        tokens=tokens,
        trials=study.trials if study else 0,
    )


def _of_trials(declared: Declared, study: Study) -> tuple[int, float | None]:
    """Tokens and operations of a study's trainings at most."""
    recipe, tokens = declared.recipes[study.recipe], study.trials * study.proxy.tokens
    if not isinstance(recipe.tokenizer, TokenizerSpec):
        return tokens, study.operations  # the vocabulary of open weights is known once they were converted
    dearest = study.trials * most_of_a_trial(study, recipe, recipe.tokenizer.vocab_size)
    return tokens, min(dearest, study.operations or dearest)


def _pre_training(declared: Declared, hop: Hop) -> tuple[int, float | None]:
    """Tokens and operations of the step, if it is the pre-training of the target or of a recipe that teaches it."""
    recipe = declared.recipes.get(hop.asset.split("/")[0])
    if recipe is None:
        return 0, None
    first = recipe.stages[0]
    settings = training_job(recipe, first).settings
    tokens = getattr(settings, "tokens", 0)
    if hop.key != checkpoint_key(recipe.name, first.called) or not tokens:
        return 0, None
    if recipe.model is None or not isinstance(recipe.tokenizer, TokenizerSpec):
        return tokens, None  # the shape of open weights is known once they were converted
    return tokens, float(operations(recipe.model, recipe.tokenizer.vocab_size, tokens, settings.sequence_length))
