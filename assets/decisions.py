"""The retraining decisions: one asset for each recipe, beside the chain, for it reads what a release was made of."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from assets.hop import Hop
from assets.models import asked_besides, asked_of, needed, scoring_of
from forge_dagster.chain import chain, checkpoint_key, scored
from forge_dagster.declared import Declared
from forge_dagster.evaluation.retraining_decision import DecisionConfig, stated
from forge_dagster.home import home
from forge_dagster.provenance.incumbent import AsItServes
from forge_dagster.provenance.ledger import Ledger
from forge_dagster.provenance.spent import Spent, spent
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.recipe import Recipe
from forge_dagster.retraining import Past, RetrainingPolicy, Use
from forge_dagster.server.use import use_since


def decision_key(recipe: str) -> str:
    """Artifact key of a recipe's decision."""
    return f"{recipe}/retraining_decision"


def decision_hops(declared: Declared) -> list[Hop]:
    """One hop for each recipe."""
    return [_hop(recipe) for recipe in declared.recipes.values()]


def _hop(recipe: Recipe) -> Hop:
    def config(declared: Declared) -> DecisionConfig:
        policy, frozen = declared.policy_of(recipe.name), declared.recipes[recipe.name]
        return DecisionConfig(
            policy=policy,
            scoring=scoring_of(declared, recipe.name),
            past=past(trainings(frozen, policy), frozen, policy, datetime.now(UTC)),
            use=use_of(policy, datetime.now(UTC)),
        )

    return Hop(
        asset=decision_key(recipe.name),
        module="forge_dagster.evaluation.retraining_decision",
        description="Whether the recipe is trained again: what the serving model makes of the documents of today, "
        "what a training costs, and what the policy says to it.",
        group="retraining",
        inputs={"token_shards": needed(recipe, "token_shards"), **asked_of(recipe)},
        external=asked_besides,
        serving=lambda _: AsItServes(release=f"{recipe.name}/release"),
        config=config,
        states=stated,
        kinds=frozenset({"torch"}),
    )


def trainings(recipe: Recipe, policy: RetrainingPolicy) -> list[Spent]:
    """Every training of the recipe's stages."""
    keys = [checkpoint_key(recipe.name, link.entry.called) for link in chain(recipe)]
    return spent(ArtifactStore(home().artifacts), Ledger(home().ledger), keys, policy.unit)


def use_of(policy: RetrainingPolicy, now: datetime) -> Use:
    """What people made of the release that serves, within the policy's days."""
    key = f"{policy.name}/release"
    digest = ArtifactStore(home().artifacts).serving(key)
    since = (now - timedelta(days=policy.use_days)).date()
    return use_since(home(), policy.name, f"{key}@{digest}", since) if digest else Use()


def past(made: Sequence[Spent], recipe: Recipe, policy: RetrainingPolicy, now: datetime) -> Past:
    """What was spent as of `now`. What the clock dates ahead of now counts as spent, and starts no cooldown."""
    first = checkpoint_key(recipe.name, recipe.stages[0].called)
    begun = [each.made for each in made if each.key == first]
    last = begun[-1] if begun else None  # the ledger's order, not the clock's
    over = last + timedelta(hours=policy.cooldown_hours) if last else None
    window = now - timedelta(days=policy.budget_days)
    recent = [each for each in made if each.made > window]
    latest = {each.key: each.hours for each in made}
    wanted = [checkpoint_key(recipe.name, link.entry.called) for link in chain(recipe)]
    known = all(key in latest for key in wanted)
    return Past(
        trained=last,
        cooling_until=over if last and over and last <= now < over else None,
        clock_was_set_back=last is not None and last > now,
        spent_hours=round(sum(each.hours for each in recent), 9),
        frees_at=min((each.made for each in recent), default=now) + timedelta(days=policy.budget_days)
        if recent
        else None,
        cost_hours=round(sum(latest[key] for key in wanted), 9) if known else None,
    )


def recipe_assets(recipe: Recipe) -> list[str]:
    """Assets that a training of the recipe makes."""
    checkpoints = [checkpoint_key(recipe.name, link.entry.called) for link in chain(recipe)]
    return [*checkpoints, f"{recipe.name}/scorecard", f"{recipe.name}/release"]


def last_checkpoint(recipe: Recipe) -> str:
    """Artifact key of what the recipe would release."""
    return checkpoint_key(recipe.name, scored(recipe)[-1])
