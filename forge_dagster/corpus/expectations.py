"""Great Expectations on one table: rules as data in, findings out, nothing written and nothing sent."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from forge_dagster.stage import Finding

if TYPE_CHECKING:
    import pandas as pd

OBSERVED = ("observed_value", "element_count", "unexpected_count", "partial_unexpected_list")


@dataclass(frozen=True)
class Rule:
    """One expectation: the name of its finding, its class in great_expectations.expectations, its arguments."""

    name: str
    expectation: str
    arguments: dict[str, Any]


def validate(table: "pd.DataFrame", rules: Sequence[Rule]) -> list[Finding]:
    """Judge one table, a finding a rule. Raises RuntimeError if an expectation could not be evaluated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library's own dependencies
        whole = _whole_table()
        import great_expectations as gx

        suite = gx.ExpectationSuite("rules")
        for rule in rules:
            expectation = getattr(gx.expectations, rule.expectation)
            suite.add_expectation(expectation(**rule.arguments, meta={"name": rule.name}))
        results = whole.get_batch({"dataframe": table}).validate(suite).results
    by_name = {result.expectation_config.meta["name"]: result for result in results if result.expectation_config}
    return [_finding(rule.name, by_name[rule.name]) for rule in rules]


@cache
def _whole_table() -> Any:
    """The batch definition that every table is judged by; it holds no table."""
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("staging").add_dataframe_asset("table")
    return asset.add_batch_definition_whole_dataframe("whole")


def _finding(name: str, result: Any) -> Finding:
    # Flat for an expectation that failed itself, one entry a metric for one whose metrics failed.
    info = result.exception_info
    raised = [each for each in (info, *info.values()) if isinstance(each, dict) and each.get("raised_exception")]
    if raised:
        raise RuntimeError(f"{name} could not be evaluated: {raised[0].get('exception_message')}")
    observed = {
        key: value if isinstance(value, (int, float, str)) else str(value)
        for key, value in result.result.items()
        if key in OBSERVED
    }
    return Finding(name=name, passed=bool(result.success), observed=observed)
