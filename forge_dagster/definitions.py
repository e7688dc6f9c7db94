"""The Dagster code location: every asset with its policy, made from recipes and sources as they stand."""

from forge_dagster.environment import close

close()

import dagster as dg  # noqa: E402  (libraries read the environment when imported)

from assets.asset import dagster_assets  # noqa: E402
from assets.decisions import decision_hops  # noqa: E402
from assets.exports import export_hops  # noqa: E402
from assets.graph import all_hops  # noqa: E402
from assets.jobs import DECISIONS, EVALUATION, EXPORT, MODELS, SOURCE, recipe_jobs  # noqa: E402
from assets.policy import OWNERS, freshness  # noqa: E402
from forge_dagster.automation import automation_file, load_automation  # noqa: E402
from forge_dagster.declared import load_declared  # noqa: E402
from resources.executor import step_executor  # noqa: E402
from resources.notifier import Notifier  # noqa: E402
from resources.store import Store  # noqa: E402
from sensors.retraining import retraining_sensor  # noqa: E402
from sensors.run_failures import run_failures_sensor, tell_of_failure  # noqa: E402
from sensors.schedules import schedules  # noqa: E402
from sensors.scorecard_regressions import scorecard_regressions_sensor, tell_of_scorecard  # noqa: E402
from sensors.source_changes import source_changes_sensor  # noqa: E402
from sensors.stale_artifacts import CONDITION, automated, stale_artifacts_sensor  # noqa: E402
from sensors.stale_runs import maintenance, stale_runs_sensor  # noqa: E402

declared, automation = load_declared(), load_automation(automation_file())
hops = all_hops(declared)
asked_for = [*decision_hops(declared), *export_hops(declared)]
BY_ITSELF = automated(hops)
FRESHNESS = freshness(declared.sources, automation.schedules.nightly_refresh.time_zone)


def with_policy(spec: dg.AssetSpec) -> dg.AssetSpec:
    """What holds for every asset alike."""
    return spec.replace_attributes(
        owners=OWNERS,
        freshness_policy=FRESHNESS.get(spec.key),
        automation_condition=CONDITION if spec.key in BY_ITSELF else None,
    )


defs = dg.Definitions(
    assets=[asset.map_asset_specs(with_policy) for asset in dagster_assets([*hops, *asked_for])],
    jobs=[
        SOURCE,
        MODELS,
        DECISIONS,
        EVALUATION,
        EXPORT,
        *recipe_jobs(declared.recipes),
        maintenance,
        tell_of_failure,
        tell_of_scorecard,
    ],
    schedules=schedules(automation.schedules, declared),
    sensors=[
        source_changes_sensor(SOURCE, automation.sensors.source_changes),
        stale_artifacts_sensor(automation.sensors.stale_artifacts),
        retraining_sensor([DECISIONS, MODELS], automation.sensors.retraining),
        run_failures_sensor(automation.sensors.run_failures),
        scorecard_regressions_sensor(automation.sensors.scorecard_regressions),
        stale_runs_sensor(automation.sensors.stale_runs),
    ],
    resources={"store": Store(), "notifier": Notifier()},
    executor=step_executor(),
)
