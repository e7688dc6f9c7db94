"""What a pre-training is told: budget, batch, schedule and learning rates."""

from typing import Self

from pydantic import Field, model_validator

from forge_dagster.stage import FrozenModel
from forge_dagster.tokens.mixture import Mixture

WATCHING = frozenset({"checkpoint_every_steps", "validate_every_steps"})
"""Settings that do not change the result."""


class Settings(FrozenModel):
    """Settings of the base stage; nothing that changes the result has a default."""

    sequence_length: int = Field(ge=8, description="tokens of a packed row; the longest context the model learns")
    batch_tokens: int = Field(ge=8, description="tokens of one step; a multiple of sequence_length")
    tokens: int = Field(ge=8, description="tokens of the whole training")
    warmup_share: float = Field(ge=0, le=1, description="share of the steps in which learning rates rise")
    decay_share: float = Field(ge=0, le=1, description="share of the steps in which learning rates fall to zero")
    muon_lr: float = Field(gt=0, description="peak learning rate of hidden matrices")
    embedding_lr: float = Field(gt=0, description="peak learning rate of embeddings")
    head_lr: float = Field(gt=0, description="peak learning rate of an untied output head")
    norm_lr: float = Field(gt=0, description="peak learning rate of the gains of norms")
    router_lr: float = Field(gt=0, description="peak learning rate of routers; without effect in a dense model")
    muon_momentum: float = Field(ge=0, lt=1)
    weight_decay: float = Field(ge=0, description="decoupled, of hidden matrices")
    mixture: Mixture | None = Field(
        default=None, description="share and epochs of each source; without it all documents are read alike"
    )
    clip_norm: float = Field(gt=0, description="gradients of a larger norm are scaled down to it")
    spike_sigmas: float = Field(
        gt=0, description="a step whose loss or gradient norm lies this many deviations above the last 128 is skipped"
    )
    rewind_steps: int = Field(ge=1, description="steps between the checkpoints that a diverging training goes back to")
    validation_tokens: int = Field(ge=1, description="most validation tokens scored at the end, all sources together")
    validate_every_steps: int | None = Field(
        default=None, ge=1, description="steps between validations; five times in a training if not given"
    )
    checkpoint_every_steps: int | None = Field(
        default=None, ge=1, description="steps between mid-run checkpoints; every 20 seconds if not given"
    )

    @property
    def rows(self) -> int:
        """Rows of a batch."""
        return self.batch_tokens // self.sequence_length

    @property
    def steps(self) -> int:
        return self.tokens // self.batch_tokens

    def validates_after(self, steps_done: int) -> bool:
        """Whether the training is validated after so many steps; its end is validated apart."""
        return steps_done % (self.validate_every_steps or -(-self.steps // 5)) == 0 and steps_done < self.steps

    @model_validator(mode="after")
    def budget_fits(self) -> Self:
        if self.batch_tokens % self.sequence_length:
            raise ValueError(
                f"batch_tokens = {self.batch_tokens} is not a multiple of sequence_length = {self.sequence_length}"
            )
        if self.tokens < self.batch_tokens:
            raise ValueError(f"tokens = {self.tokens} is less than one batch of batch_tokens = {self.batch_tokens}")
        if self.warmup_share + self.decay_share > 1:
            raise ValueError(f"warmup_share + decay_share = {self.warmup_share + self.decay_share}; they share 1")
        return self
