"""`forge schema`: the JSON Schema of what people and agents may declare."""

from typing import Annotated, Any

import typer
from pydantic import BaseModel

from forge_dagster.agents.quota import Agents
from forge_dagster.automation import Automation
from forge_dagster.chain import stage_module, stage_names
from forge_dagster.cli.console import print_json
from forge_dagster.comparison import Comparison
from forge_dagster.compute_profile import KubernetesProfile, SlurmProfile
from forge_dagster.declared import kind_module, kind_names
from forge_dagster.errors import UserError
from forge_dagster.export import ExportPolicy
from forge_dagster.pair_source import Generator, Given
from forge_dagster.policy import Policy
from forge_dagster.policy_kinds import policy_kind, policy_kind_names
from forge_dagster.recipe import Recipe
from forge_dagster.retraining import RetrainingPolicy
from forge_dagster.source import Source
from forge_dagster.study import Study
from resources.cluster.site import Site


def schemas() -> dict[str, dict[str, Any]]:
    """JSON Schema by kind; each training stage, kind of source and kind of policy has one for its settings."""
    kinds: dict[str, type[BaseModel]] = {
        "recipe": Recipe,
        "source": Source,
        "policy": Policy,
        "comparison": Comparison,
        "study": Study,
        "automation": Automation,
        "agents": Agents,
        "compute/kubernetes": KubernetesProfile,
        "compute/slurm": SlurmProfile,
        "site": Site,
        "retraining": RetrainingPolicy,
        "exports": ExportPolicy,
        "pairs/given": Given,
        "pairs/generator": Generator,
    }
    stages = {f"stage/{name}": stage_module(name).Settings for name in stage_names()}
    reached = {f"kind/{name}": kind_module(name).Settings for name in kind_names()}
    kept = {f"policy/{name}": policy_kind(name).Settings for name in policy_kind_names()}
    return {name: model.model_json_schema() for name, model in {**kinds, **stages, **reached, **kept}.items()}


def command(
    kind: Annotated[
        str | None,
        typer.Argument(
            help="recipe, source, policy, comparison, study, automation, agents, retraining, exports, compute/KIND, "
            "site, pairs/KIND, stage/NAME, kind/NAME or policy/NAME; default: all."
        ),
    ] = None,
) -> None:
    """Print the JSON Schema of recipes, sources, policies, comparisons, studies, automation, agents, retraining,
    exports, sites, compute profiles and stage settings."""
    found = schemas()
    if kind is not None and kind not in found:
        raise UserError(f"{kind!r}", rule=f"one of {', '.join(found)}", mend="choose one of these")
    print_json(found if kind is None else found[kind])
