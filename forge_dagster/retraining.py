"""Whether a recipe is trained again: the policy behind `recipes/retraining/*.yaml`, and what follows from what is.

Pure: no clock is read, no file, no model; what was measured comes in, the decision and its reasons go out as data.
"""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from forge_dagster.source import Name, load_named
from forge_dagster.stage import FrozenModel

Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Continuation(FrozenModel):
    """How the model that serves is trained further on documents that are new to it and on replayed ones."""

    tokens: int = Field(ge=8, description="tokens of the training, new and replayed ones together")
    rate: float = Field(gt=0, le=1, description="its learning rates, as a share of the recipe's")
    replay: float = Field(
        gt=0, lt=1, description="least share of the tokens that are of documents it was trained on before"
    )
    epochs: float = Field(
        gt=0, allow_inf_nan=False, description="most times a token of a new document is read; the rest is replayed"
    )


class RetrainingPolicy(FrozenModel):
    """What asks for a new training of one recipe, what speaks against one, and how it is trained.

    A limit that is null asks for nothing. By the method `full` the recipe's first stage trains from scratch on all
    documents as they are; by `continue` it goes on from the model that serves, with its tokenizer. Later stages follow.
    """

    name: Name = Field(description="the recipe")
    method: Literal["full", "continue"] = "full"
    continuation: Continuation | None = Field(default=None, description="with the method `continue`, and no other")
    new_tokens: Share | None = Field(default=0.05, description="share of training tokens the serving model never saw")
    stale_facts: Share | None = Field(
        default=0.25, description="share of changed facts of which the serving model prefers the old value"
    )
    drift: Amount | None = Field(
        default=0.25, description="bits per byte by which new documents cost the serving model more than held-out ones"
    )
    prompt_drift: Amount | None = Field(
        default=None,
        description="bits per byte by which prompts to the serving model cost it more than held-out documents",
    )
    refusals: Share | None = Field(default=None, description="share of its answers that are a policy's refusal")
    use_days: Annotated[float, Field(gt=0, le=3660)] = Field(
        default=7, description="days whose prompts and answers are looked at"
    )
    least_answers: int = Field(default=100, ge=1, description="answers in them below which they tell nothing")
    failed_gates: bool = Field(default=True, description="whether a gate that the serving model fails today asks")
    cooldown_hours: Amount = Field(default=24, description="least time between two trainings")
    budget_hours: Amount | None = Field(default=None, description="most hours of training within `budget_days`")
    budget_days: Annotated[float, Field(gt=0, le=3660)] = 30
    unit: Literal["processor", "gpu"] = Field(default="processor", description="whose hours are counted")
    approval_above_hours: Amount | None = Field(
        default=None, description="a training that is estimated to cost more waits for a person"
    )

    @model_validator(mode="after")
    def says_how_to_go_on(self) -> Self:
        if (self.method == "continue") != (self.continuation is not None):
            raise ValueError(
                f"method = {self.method!r}, and continuation is {'missing' if self.continuation is None else 'given'}; "
                "the method continue says under `continuation` how, the method full has none"
            )
        return self

    def in_full(self) -> "RetrainingPolicy":
        """The same policy with trainings from scratch."""
        return self.model_copy(update={"method": "full", "continuation": None})


class Past(FrozenModel):
    """What was spent, from the ledger and the records of trainings."""

    trained: datetime | None = Field(description="when the last training of the recipe was made")
    cooling_until: datetime | None = Field(description="null if it was long enough ago")
    clock_was_set_back: bool = Field(description="whether the last training lies ahead of now")
    spent_hours: Amount = Field(description="hours of training within the budget's days")
    frees_at: datetime | None = Field(description="when the first of them falls out of the budget's days")
    cost_hours: Amount | None = Field(description="hours of the last training of every stage; null if one never was")


class Use(FrozenModel):
    """What people made of the model that serves, in sums; no word of it."""

    answers: int = Field(default=0, ge=0)
    refusals: int = Field(default=0, ge=0, description="answers that are a policy's refusal")
    prompts: int = Field(default=0, ge=0, description="prompts whose surprise was measured")
    bits: Amount = Field(default=0.0, description="surprise of the serving model at these prompts [bits]")
    bytes: int = Field(default=0, ge=0, description="UTF-8 bytes of these prompts")

    def __add__(self, other: "Use") -> "Use":
        return Use(**{name: getattr(self, name) + getattr(other, name) for name in type(self).model_fields})


class Measured(FrozenModel):
    """What was measured of the documents as they are and the model that serves; null where there was nothing to ask."""

    serves: bool = Field(description="whether a model serves")
    tokens: int = Field(ge=0, description="training tokens now")
    new_tokens: int = Field(ge=0, description="those of documents the serving model never saw")
    gone_documents: int = Field(ge=0, description="documents it was trained on that are no longer there")
    changed_facts: int = Field(ge=0, description="facts that documents state otherwise than when it was trained")
    stale_facts: int = Field(ge=0, description="those of which it prefers the old value")
    settled_facts: int = Field(ge=0, description="facts that changed before it was trained, since the model before it")
    unsettled_facts: int = Field(ge=0, description="those of which it still prefers the old value")
    new_bits_per_byte: float | None = Field(description="of new documents under the serving model")
    held_out_bits_per_byte: float | None = Field(description="of the held-out documents of its own corpus")
    failed_gates: tuple[str, ...] = Field(description="gates that it fails on the documents of today, with figures")
    use: Use = Field(default=Use(), description="of the release that serves, within the policy's days")

    @property
    def share_of_new_tokens(self) -> float:
        return self.new_tokens / self.tokens if self.tokens else 0.0

    @property
    def staleness(self) -> float | None:
        """Share of changed facts of which the serving model prefers the old value."""
        return self.stale_facts / self.changed_facts if self.changed_facts else None

    @property
    def drift(self) -> float | None:
        """Bits per byte of new documents above those of held-out ones."""
        if self.new_bits_per_byte is None or self.held_out_bits_per_byte is None:
            return None
        return self.new_bits_per_byte - self.held_out_bits_per_byte

    @property
    def prompt_drift(self) -> float | None:
        """Bits per byte of prompts above those of held-out documents."""
        if not self.use.bytes or self.held_out_bits_per_byte is None:
            return None
        return self.use.bits / self.use.bytes - self.held_out_bits_per_byte


class Reason(FrozenModel):
    """One thing that was looked at: its value, the policy's limit, and what it speaks for."""

    measure: str
    value: float | None
    limit: float | None
    speaks: Literal["retrain", "hold", "nothing"]
    text: str


class Retrain(FrozenModel):
    """Train the recipe; with `needs_approval` when a person has approved this very decision."""

    decision: Literal["retrain"] = "retrain"
    needs_approval: bool
    reasons: tuple[Reason, ...]


class Hold(FrozenModel):
    """Leave the model that serves; `until` is when to look again though nothing changes, null if that is never."""

    decision: Literal["hold"] = "hold"
    until: datetime | None
    reasons: tuple[Reason, ...]


def decide(previous: Past, current: Measured, policy: RetrainingPolicy) -> Retrain | Hold:
    """Retrain if a measure reaches its limit, and neither cooldown nor budget speaks against it."""
    asks = _asks(current, policy)
    if all(reason.speaks == "nothing" for reason in asks):
        return Hold(until=None, reasons=tuple(asks))
    against, until = _against(previous, policy)
    reasons = (*asks, *against)
    if any(reason.speaks == "hold" for reason in against):
        return Hold(until=until, reasons=reasons)
    cost, limit = previous.cost_hours, policy.approval_above_hours
    needs_approval = limit is not None and (cost is None or cost > limit)
    if needs_approval:
        known = "is not known, for it was never trained" if cost is None else f"is {cost:.4g}"
        text = f"its cost in {policy.unit}-hours {known}; above {limit:g} a person approves"
        reasons = (*reasons, Reason(measure="cost", value=cost, limit=limit, speaks="nothing", text=text))
    return Retrain(needs_approval=needs_approval, reasons=reasons)


def _asks(current: Measured, policy: RetrainingPolicy) -> list[Reason]:
    if not current.serves:
        return [Reason(measure="serves", value=0, limit=None, speaks="retrain", text="no model of this recipe serves")]
    values = {
        "new_tokens": (current.share_of_new_tokens, policy.new_tokens),
        "stale_facts": (current.staleness, policy.stale_facts),
        "drift": (current.drift, policy.drift),
    }
    told = {
        "new_tokens": f"{current.new_tokens:,} of {current.tokens:,} training tokens are new to the serving model",
        "stale_facts": f"it prefers the old value of {current.stale_facts} of {current.changed_facts} changed facts",
        "drift": "bits per byte of new documents above those of held-out ones",
    }
    reasons = [_reason(name, value, limit, told[name]) for name, (value, limit) in values.items()]
    reasons += asks_by_use(current, policy)
    gates = current.failed_gates if policy.failed_gates else ()
    text = "; ".join(gates) or "no gate with a bound of its own fails today"
    speaks: Literal["retrain", "nothing"] = "retrain" if gates else "nothing"
    return [*reasons, Reason(measure="failed_gates", value=len(gates), limit=0, speaks=speaks, text=text)]


def asks_by_use(current: Measured, policy: RetrainingPolicy) -> list[Reason]:
    """What prompts and answers of the last days ask for; too few of them ask for nothing."""
    use, enough = current.use, current.use.answers >= policy.least_answers
    share = use.refusals / use.answers if enough else None
    days = f"of the last {policy.use_days:g} days"
    return [
        _reason(
            "prompt_drift",
            current.prompt_drift if enough else None,
            policy.prompt_drift,
            f"bits per byte of {use.prompts:,} prompts {days} above those of held-out documents",
        ),
        _reason("refusals", share, policy.refusals, f"{use.refusals:,} of {use.answers:,} answers {days} are refusals"),
    ]


def _reason(measure: str, value: float | None, limit: float | None, text: str) -> Reason:
    if value is None:
        return Reason(measure=measure, value=None, limit=limit, speaks="nothing", text="there was nothing to ask")
    # A share of 0 reaches a limit of 0, and asks for nothing all the same.
    reached = limit is not None and value >= limit and value > 0
    bound = "no limit" if limit is None else f"limit {limit:g}"
    speaks: Literal["retrain", "nothing"] = "retrain" if reached else "nothing"
    return Reason(measure=measure, value=value, limit=limit, speaks=speaks, text=f"{text}: {value:.4g} ({bound})")


def _against(previous: Past, policy: RetrainingPolicy) -> tuple[list[Reason], datetime | None]:
    """Cooldown and budget, and when both are over."""
    until: list[datetime] = []
    reasons = []
    if previous.cooling_until is not None:
        until.append(previous.cooling_until)
        text = f"trained at {previous.trained}, cooldown until {previous.cooling_until}"
        reasons.append(_hold("cooldown", None, policy.cooldown_hours, text))
    elif previous.clock_was_set_back:
        text = f"the last training is dated {previous.trained}, ahead of the clock, which was set back: no cooldown"
        reasons.append(Reason(measure="cooldown", value=None, limit=None, speaks="nothing", text=text))
    if policy.budget_hours is not None:
        wanted = previous.spent_hours + (previous.cost_hours or 0)
        text = f"{previous.spent_hours:.4g} {policy.unit}-hours were spent within {policy.budget_days:g} days"
        if wanted > policy.budget_hours:
            until += [previous.frees_at] if previous.frees_at else []
            text += f", and {wanted:.4g} would be"
            reasons.append(_hold("budget", wanted, policy.budget_hours, text))
        else:
            reasons.append(
                Reason(measure="budget", value=wanted, limit=policy.budget_hours, speaks="nothing", text=text)
            )
    return reasons, max(until, default=None)


def _hold(measure: str, value: float | None, limit: float, text: str) -> Reason:
    return Reason(measure=measure, value=value, limit=limit, speaks="hold", text=text)


def load_retraining(folder: Path) -> dict[str, RetrainingPolicy]:
    """The policy of each recipe that has a file of its own; there may be none. Raises RecipeError on a broken rule."""
    return {path.stem: load_named(path, RetrainingPolicy.model_validate) for path in sorted(folder.glob("*.yaml"))}
