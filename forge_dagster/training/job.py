"""What every training stage is given: the seed, the shape of the model and the stage's own settings."""

from typing import Generic, TypeVar

from pydantic import Field

from forge_dagster.recipe import ModelSpec
from forge_dagster.stage import FrozenModel

Settings = TypeVar("Settings", bound=FrozenModel)


class TrainingJob(FrozenModel, Generic[Settings]):
    """Identity of one training stage of one recipe."""

    seed: int = Field(ge=0)
    model: ModelSpec
    settings: Settings
