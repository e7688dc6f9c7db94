"""What every training stage is given: the seed, the shape of the model and the stage's own settings."""

from typing import Generic, TypeVar

from pydantic import Field

from forge_dagster.recipe import Limits, ModelSpec
from forge_dagster.stage import FrozenModel

Settings = TypeVar("Settings", bound=FrozenModel)


class TrainingJob(FrozenModel, Generic[Settings]):
    """Identity of one training stage of one recipe."""

    seed: int = Field(ge=0)
    model: ModelSpec | None = Field(description="the shape of a model made from scratch; none if from open weights")
    settings: Settings
    limits: Limits | None = Field(default=None, description="of the first stage: terms that its documents may have")

    @property
    def shape(self) -> ModelSpec:
        """The shape of a model made from scratch."""
        assert self.model is not None, "a recipe that begins with base has a model"
        return self.model
