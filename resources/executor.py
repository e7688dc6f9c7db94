"""How a run's steps execute: each in its own process, forked from a server that loaded the libraries once, or in a pod.

Whatever executes a run first leaves the mark of its process, by which a killed one is known, and lets DVC know at the
end what was made.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import dagster as dg

from forge_dagster.compute_profile import KubernetesProfile, profile
from forge_dagster.home import home
from forge_dagster.provenance.code_version import closure
from forge_dagster.versions.track import after_runs
from resources.process import mark_of_this_process
from resources.tags import LAUNCH_TAG, MAINTENANCE_TAG, PROCESS_TAG, launch_of

ALWAYS = (
    "resources.own_group",
    "dagster._core.executor.multiprocess",  # else Dagster would put it first, seconds before the group is left
    "forge_dagster.definitions",
    "resources.warmed",
)
LIBRARIES = {
    "great_expectations": ("great_expectations",),
    "torch": ("torch",),
    "transformers": ("transformers",),
    "datasets": ("datasets",),
    "lm_eval": ("lm_eval.evaluator", "lm_eval.models.huggingface"),
    # trl itself is a name that loads its trainers when they are asked for, in each step again.
    "trl": ("trl.trainer.dpo_trainer", "trl.trainer.grpo_trainer", "trl.trainer.sft_trainer"),
}
"""What takes a second or more to import, by the library that a stage's source names."""


def preloaded(libraries: Collection[str]) -> list[str]:
    """Modules that the fork server loads once, for steps that use these libraries."""
    return [*ALWAYS, *(module for library, them in LIBRARIES.items() if library in libraries for module in them)]


DOCUMENTS = preloaded({"great_expectations"})
"""For steps of which nothing is said: those of documents, which a sensor starts when they change."""


class Marked(dg.Executor):
    """An executor that marks the run with its process before the first step."""

    def __init__(self, inner: dg.Executor) -> None:
        self.inner = inner

    def execute(self, plan_context: Any, execution_plan: Any) -> Iterator[dg.DagsterEvent]:
        run = plan_context.dagster_run
        mark = mark_of_this_process(run.run_id)
        tags = {PROCESS_TAG: mark.model_dump_json(), LAUNCH_TAG: launch_of(run)}
        plan_context.instance.add_run_tags(run.run_id, tags)
        yield from self.inner.execute(plan_context, execution_plan)
        by_command = LAUNCH_TAG in run.tags and run.parent_run_id is None
        if not by_command and MAINTENANCE_TAG not in run.tags:  # `forge run` does it once, after its last run
            for problem in after_runs(home()):
                plan_context.log.warning(f"DVC does not have every version yet (next run, or forge push): {problem}")

    @property
    def retries(self) -> Any:
        return self.inner.retries


def _marked(inner: Any) -> dg.ExecutorDefinition:
    return dg.ExecutorDefinition(
        name=inner.name,
        config_schema=inner.config_schema,
        requirements=inner.get_requirements,
        executor_creation_fn=lambda context: Marked(inner.executor_creation_fn(context)),
    )


def _steps(config: dict[str, Any]) -> dict[str, Any]:
    return {
        "max_concurrent": config["max_concurrent"],
        "start_method": {"forkserver": {"preload_modules": config["preload"]}},
    }


_here = dg.configured(
    _marked(dg.multiprocess_executor),
    config_schema={
        # Training uses every core, so steps side by side only slow each other.
        "max_concurrent": dg.Field(int, default_value=1, description="steps that run side by side"),
        "preload": dg.Field([str], default_value=DOCUMENTS, description="modules that steps find loaded"),
    },
)(_steps)


def step_executor() -> dg.ExecutorDefinition:
    """Of every job that makes artifacts: processes of this machine, or Jobs of the cluster that the profile names."""
    found = profile()
    if not isinstance(found, KubernetesProfile):
        return _here
    from resources.steps_in_pods import steps_in_pods  # needs the extra k8s

    return dg.ExecutorDefinition(
        name="pods",
        config_schema={},
        requirements=dg.multiprocess_executor.get_requirements,
        executor_creation_fn=lambda context: Marked(steps_in_pods(found)),
    )


def execution_config(modules: Iterable[str]) -> dict[str, Any]:
    """Run configuration of the step executor, for steps of these stages."""
    if isinstance(profile(), KubernetesProfile):
        return {}
    return {"preload": preloaded(frozenset().union(*(closure(module)[1] for module in modules)))}


maintenance_executor = _marked(dg.in_process_executor)
"""Of jobs that take seconds and compute nothing."""
