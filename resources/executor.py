"""How a run's steps execute: each in its own process, forked from a server that loaded the libraries once."""

from typing import Any

import dagster as dg

LIGHT = ["forge_dagster.definitions", "great_expectations"]
HEAVY = [*LIGHT, "torch", "transformers", "trl", "datasets"]


def _steps(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "max_concurrent": config["max_concurrent"],
        "start_method": {"forkserver": {"preload_modules": config["preload"]}},
    }


step_executor = dg.configured(
    dg.multiprocess_executor,
    config_schema={
        # Training uses every core, so steps side by side only slow each other.
        "max_concurrent": dg.Field(int, default_value=1, description="steps that run side by side"),
        "preload": dg.Field([str], default_value=LIGHT, description="modules that steps find loaded"),
    },
)(_steps)
