"""A policy: what an organisation wants its model to do, as data; the type behind `policies/*.yaml`, and its items."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from forge_dagster.source import Name, load_named
from forge_dagster.stage import FrozenModel


class Policy(FrozenModel):
    """One thing that the model is to do."""

    name: Name
    kind: str = Field(description="how it is asked and judged: a file of forge_dagster/policies")
    description: str
    settings: Mapping[str, Any] = Field(default={}, description="of the kind: `forge schema policy/NAME`")


class Asked(FrozenModel):
    """A question that the training documents answer."""

    question: str
    answer: str
    document_ids: tuple[str, ...]
    held_out: bool
    superseded: tuple[str, ...] = ()
    """Answers to it of older versions of these documents."""


class Told(FrozenModel):
    """What a reader knows of a training document beside its text."""

    title: str
    audience: tuple[str, ...]
    redacted: bool
    """Whether personal data or secrets were replaced in it."""


@dataclass(frozen=True)
class Material:
    """What items are made of."""

    seed: int
    asked: Sequence[Asked]
    documents: Mapping[str, Told]
    in_form: Callable[[str], str]
    """An answer as the organisation's model is to give it."""


class Item(FrozenModel):
    """One prompt by which a policy is trained or judged."""

    prompt: str
    case: Mapping[str, Any]
    """What the kind's reward needs to judge an answer; plain data."""
    keeps: str
    """An answer that keeps the policy."""
    breaks: tuple[str, ...]
    """Answers that break it."""
    document_ids: tuple[str, ...]
    held_out: bool
    group: str
    """Items of one group are judged together: all of them keep the policy, or none does."""


def load_policy(path: Path) -> Policy:
    """Load one policy file. Raises RecipeError on a broken rule."""
    return load_named(path, Policy.model_validate)


def load_policies(folder: Path) -> dict[str, Policy]:
    """Load every `*.yaml` of a folder by name."""
    return {path.stem: load_policy(path) for path in sorted(folder.glob("*.yaml"))}
