"""What follows from a changed source, up to the token shards, as declarative automation by changed data version."""

from collections.abc import Sequence

import dagster as dg

from assets.asset import dagster_key
from assets.hop import Hop
from forge_dagster.automation import Sensor
from sensors.runs import status_of

CONDITION = (
    dg.AutomationCondition.any_deps_match(
        dg.AutomationCondition.data_version_changed() | dg.AutomationCondition.will_be_requested()
    )
    .since_last_handled()
    .with_label("an input has another content")
    & ~dg.AutomationCondition.any_deps_missing()
    & ~dg.AutomationCondition.any_deps_in_progress()
    & ~dg.AutomationCondition.in_progress()
)
"""One run makes the whole chain: its steps read what the run made, or what was current when it began."""


def automated(hops: Sequence[Hop]) -> set[dg.AssetKey]:
    """Assets that follow from the sources by themselves: a model writes none of them, and none is a model."""
    return {
        dagster_key(hop.asset)
        for hop in hops
        if hop.partition is None and (hop.group == "tokens" or (hop.group == "documents" and "/" not in hop.asset))
    }


def stale_artifacts_sensor(settings: Sensor) -> dg.AutomationConditionSensorDefinition:
    """The sensor that evaluates the conditions."""
    return dg.AutomationConditionSensorDefinition(
        "stale_artifacts",
        target=dg.AssetSelection.all(),
        minimum_interval_seconds=settings.every_seconds,
        default_status=status_of(settings),
        description="Asks for what follows from a changed source, up to the token shards.",
    )
