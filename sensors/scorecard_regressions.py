"""Tells people that a model scores worse than the one that serves, or fails a gate; a job compares, a sensor asks."""

import dagster as dg

from forge_dagster.automation import Sensor
from forge_dagster.declared import load_declared
from forge_dagster.evaluation import evidence
from forge_dagster.evaluation.card import Scorecard, read_card
from forge_dagster.evaluation.comparison import Compared, compare
from forge_dagster.home import home
from forge_dagster.provenance.store import ArtifactStore
from forge_dagster.recipe import INCUMBENT
from resources.executor import maintenance_executor
from resources.notifier import Notice, Notifier
from resources.tags import MAINTENANCE_TAG
from sensors.runs import status_of


class NewScorecard(dg.Config):
    """Which scorecard is new."""

    recipe: str
    digest: str


@dg.op(description="Compare the last checkpoint with the model that serves, item by item; tell if it is worse.")
def tell_scorecard(context: dg.OpExecutionContext, config: NewScorecard, notifier: Notifier) -> None:
    """Raises dagster.Failure if a target could not be reached."""
    folder = ArtifactStore(home().artifacts).content(f"{config.recipe}/scorecard", config.digest)
    card = read_card(folder)
    notice = notice_of(config.recipe, config.digest, card, _worse(card, evidence.read_evidence(folder / evidence.FILE)))
    if notice is None:
        context.log.info(f"{config.recipe} passes its gates and is not seen to be worse than the model that serves")
    else:
        notifier.tell(context, notice)


def _worse(card: Scorecard, results: evidence.Evidence) -> list[Compared]:
    last = list(card.checkpoints)[-1]
    if INCUMBENT not in card.checkpoints:
        return []
    rows = compare(
        (card.checkpoints[last], card.checkpoints[INCUMBENT]), (results[last], results[INCUMBENT]), card.metrics
    )
    return [row for row in rows if row.seen == "worse"]


def notice_of(recipe: str, digest: str, card: Scorecard, worse: list[Compared]) -> Notice | None:
    """What is told of a scorecard: metrics and figures; none if there is nothing to tell."""
    failed = [verdict for verdict in card.gates if verdict.outcome == "failed"]
    if not failed and not worse:
        return None
    facts = {"recipe": recipe, "scorecard": digest}
    facts |= {f"gate {each.metric} {each.rule} {each.limit}": f"failed at {each.value}" for each in failed}
    facts |= {f"worse {row.metric}": f"{row.value:.4g}, the model that serves {row.other:.4g}" for row in worse}
    subject = f"forge: {recipe}: {len(failed)} gates failed, {len(worse)} metrics worse than the model that serves"
    return Notice(kind="scorecard_regression", subject=subject, facts=facts)


@dg.job(executor_def=maintenance_executor, tags={MAINTENANCE_TAG: "true"})
def tell_of_scorecard() -> None:
    """Tell people of a scorecard that is worse."""
    tell_scorecard()


def scorecard_regressions_sensor(settings: Sensor) -> dg.SensorDefinition:
    """The sensor `scorecard_regressions`: asks once for each new scorecard of a recipe."""

    def look(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        store = ArtifactStore(home().artifacts)
        current = {name: store.current(f"{name}/scorecard") for name in load_declared().recipes}
        now = " ".join(f"{name}@{digest}" for name, digest in sorted(current.items()) if digest)
        if context.cursor is None:
            context.update_cursor(now)
            return dg.SkipReason("follows the scorecards from now on")
        new = [each for each in now.split() if each not in context.cursor.split()]
        return dg.SensorResult(run_requests=[_request(*each.split("@")) for each in new], cursor=now)

    return dg.SensorDefinition(
        name="scorecard_regressions",
        evaluation_fn=look,
        job=tell_of_scorecard,
        minimum_interval_seconds=settings.every_seconds,
        default_status=status_of(settings),
        description="Asks that each new scorecard be compared with the model that serves.",
    )


def _request(recipe: str, digest: str) -> dg.RunRequest:
    config = dg.RunConfig(ops={"tell_scorecard": NewScorecard(recipe=recipe, digest=digest)})
    return dg.RunRequest(run_key=f"{recipe}/scorecard@{digest}", run_config=config)
