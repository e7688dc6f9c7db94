"""The kinds of policies there are, files of forge_dagster/policies; and the reward of an answer by a policy."""

import importlib
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from forge_dagster import policies
from forge_dagster.errors import RecipeError
from forge_dagster.policy import Policy
from forge_dagster.source import explain


@cache
def policy_kind_names() -> tuple[str, ...]:
    """The files of forge_dagster/policies."""
    folder = Path(policies.__path__[0])
    return tuple(sorted(path.stem for path in folder.glob("[!_]*.py")))


def policy_kind(name: str) -> Any:
    """The module of a kind of policy. Raises RecipeError if there is no such file."""
    if name not in policy_kind_names():
        raise RecipeError(
            f"kind: {name!r}",
            rule=f"a kind of policy is one of {', '.join(policy_kind_names())}",
            mend="choose one of these",
        )
    return importlib.import_module(f"{policies.__name__}.{name}")


def policy_settings(policy: Policy) -> Any:
    """The typed settings of a policy's kind. Raises RecipeError on a broken rule."""
    try:
        return policy_kind(policy.kind).Settings.model_validate(policy.settings)
    except ValidationError as error:
        raise explain(Path(f"{policy.name}.yaml (kind {policy.kind})"), error) from error


def refusals_of(policies: Iterable[Policy]) -> list[str]:
    """What policies have the model say instead of an answer."""
    settings = map(policy_settings, policies)
    return sorted({each.refusal for each in settings if "refusal" in type(each).model_fields})


def policy_reward(policy: Policy, text: str, case: Mapping[str, Any]) -> float:
    """Between 0 and 1; 1 if `text` keeps the policy in this case, 0 if it does not. Pure."""
    kind = policy_kind(policy.kind)
    return float(kind.reward(text, kind.Case.model_validate(case), policy_settings(policy)))
