"""What a pre-training is told: budget, batch, schedule and learning rates."""

from typing import Self

from pydantic import Field, model_validator

from forge_dagster.stage import FrozenModel
from forge_dagster.tokens.mixture import Mixture

WATCHING = frozenset({"checkpoint_every_steps", "validate_every_steps", "retain_every_steps"})
"""Settings that do not change the result."""


RATES = ("muon_lr", "embedding_lr", "head_lr", "norm_lr", "router_lr")


class Replay(FrozenModel):
    """Parts of a training that goes on from a model: documents that are new to it, and replayed ones."""

    share: float = Field(gt=0, lt=1, description="least share of the tokens that are of documents it was trained on")
    epochs: float = Field(gt=0, allow_inf_nan=False, description="most times a token of a new document is read")


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
    going_on: Replay | None = Field(
        default=None, description="set by a retraining policy of the method continue, and by nothing else"
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

    retain_every_steps: int | None = Field(
        default=None,
        ge=1,
        description="steps between the checkpoints that outlive the training, for `forge erase` and `forge reproduce`; "
        "two in a training if not given",
    )

    @property
    def rows(self) -> int:
        """Rows of a batch."""
        return self.batch_tokens // self.sequence_length

    @property
    def steps(self) -> int:
        return self.tokens // self.batch_tokens

    @property
    def retained_steps(self) -> frozenset[int]:
        """Steps after which a checkpoint is kept for good, with the anchors that each may go back to."""
        kept: set[int] = set()
        every = self.retain_every_steps or -(-self.steps // 3)
        for step in range(every, self.steps, every):
            anchor = step - step % self.rewind_steps
            kept |= {step, anchor, max(anchor - self.rewind_steps, 0)}
        return frozenset(kept)

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
