"""A recipe: the type behind `recipes/*.yaml`, one model a file, the whole run readable in one place."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from forge_dagster.source import JURISDICTION, Name, Sensitivity, load_named
from forge_dagster.stage import FrozenModel

MOE = ("mixtral", "qwen3_moe")
BEGINNINGS = ("base", "continued", "start")
"""A recipe's first stage: from scratch, or from open weights, trained further or taken as they are."""
UNTRAINED = "untrained"
"""Name under which the scores of the model before its training stand; for open weights, of these as they came."""
INCUMBENT = "incumbent"
"""Name under which the scores of the model that serves stand, beside those that would replace it."""


Finite = Annotated[float, Field(allow_inf_nan=False)]
Margin = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class TokenizerSpec(FrozenModel):
    """A byte-level BPE tokenizer trained on the corpus."""

    kind: Literal["byte-bpe"]
    vocab_size: int = Field(ge=300, le=262_144, description="tokens, the 256 bytes and the control tokens included")

    @property
    def name(self) -> str:
        """Name of the tokenizer's assets; equal specs share them."""
        return f"{self.kind}-{self.vocab_size}".replace("byte-bpe", "bpe")


class InheritedTokenizerSpec(FrozenModel):
    """The tokenizer of open weights, extended by tokens learned from the corpus."""

    kind: Literal["inherited"]
    domain_tokens: int = Field(ge=0, le=65_536, description="tokens that are added for words it splits badly")
    domain_sources: tuple[Name, ...] = Field(default=(), description="sources of these words; none: every source")


class WeightsSpec(FrozenModel):
    """Open weights that a training goes on from or learns from: bytes on this machine, and whose they are."""

    name: Name
    location: str = Field(description="Hugging Face folder or GGUF file; relative to the folder of recipes")
    origin: str = Field(min_length=1, description="where they were published, as a person would look it up")
    training_operations: Finite | None = Field(
        default=None, gt=0, description="floating-point operations of their own training, as their makers state it"
    )
    licence: str = Field(description="SPDX expression, or `unknown` (trains, but is never released)")


class ModelSpec(FrozenModel):
    """A transformers architecture by its AutoConfig name, and its shape."""

    architecture: Literal["qwen3", "mistral", "mixtral", "qwen3_moe"]
    hidden_size: int = Field(ge=8)
    intermediate_size: int = Field(ge=8, description="width of the MLP; of one expert in a mixture")
    layers: int = Field(ge=1)
    heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=2)
    tie_embeddings: bool
    rope_theta: float = Field(gt=0)
    experts: int | None = Field(default=None, ge=2)
    experts_per_token: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def shape_fits(self) -> Self:
        if self.hidden_size % self.heads:
            raise ValueError(
                f"heads = {self.heads} does not divide hidden_size = {self.hidden_size}; choose a divisor of the width"
            )
        if self.heads % self.kv_heads:
            raise ValueError(f"kv_heads = {self.kv_heads} does not divide heads = {self.heads}; choose a divisor")
        if self.head_dim % 2:
            raise ValueError(f"head_dim = {self.head_dim} is odd; rotary positions need an even one")
        if self.architecture in MOE:
            if self.experts is None or self.experts_per_token is None:
                raise ValueError(f"{self.architecture} needs experts and experts_per_token")
            if self.experts < self.experts_per_token:
                raise ValueError(
                    f"experts = {self.experts} < experts_per_token = {self.experts_per_token}; "
                    "a token cannot go to more experts than there are"
                )
        elif self.experts is not None or self.experts_per_token is not None:
            raise ValueError(
                f"{self.architecture} is dense; remove experts and experts_per_token, or choose one of {MOE}"
            )
        return self


class StageEntry(FrozenModel):
    """One training stage: a file name in forge_dagster/stages, and that stage's own settings."""

    stage: Name
    name: Name | None = Field(default=None, description="what its checkpoint is called; as the stage if not given")
    settings: dict[str, Any]

    @property
    def called(self) -> str:
        """What its checkpoint is called."""
        return self.name or self.stage


class Gate(FrozenModel):
    """A rule the last checkpoint must meet before a release exists; a gate may set several bounds.

    What compares two models compares them on the same items, and is sure of it with an error of 5 %.
    """

    metric: str = Field(description="metric of the scorecard, as `task.metric`")
    minimum: Finite | None = None
    maximum: Finite | None = None
    below_untrained_by: Finite | None = Field(default=None, description="required distance under the untrained model")
    no_regression: Margin | None = Field(
        default=None, description="the most by which it may be worse than the model that serves"
    )
    gain: Margin | None = Field(
        default=None,
        description="the least by which it must be better than the model that serves, and by more than the noise",
    )
    forgetting: Margin | None = Field(
        default=None,
        description="the most by which it may be worse than what it began as: open weights as they came, else the base",
    )

    @model_validator(mode="after")
    def asks_something(self) -> Self:
        if not self.model_fields_set - {"metric"} or all(getattr(self, bound) is None for bound in BOUNDS):
            raise ValueError(f"a gate sets one of {', '.join(BOUNDS)}")
        return self


BOUNDS = tuple(name for name in Gate.model_fields if name != "metric")


class Limits(FrozenModel):
    """The terms that a model may have; a document of stricter ones keeps it from being trained and released."""

    sensitivity: Sensitivity = Field(description="the most sensitive documents that may be in it")
    licences: tuple[str, ...] = Field(default=(), description="licences that its documents may have; none: any known")
    audience: tuple[str, ...] = Field(
        default=(), description="who is to use it; each document must be for all of them. None: nobody in particular"
    )
    jurisdictions: tuple[Annotated[str, Field(pattern=JURISDICTION)], ...] = Field(
        default=(), description="whose law its documents may be under; none: any"
    )


class Recipe(FrozenModel):
    """One model: tokenizer, shape or open weights, the stages in order, and the gates of its release."""

    name: Name
    description: str
    seed: int = Field(ge=0, lt=2**31)
    tokenizer: TokenizerSpec | InheritedTokenizerSpec = Field(discriminator="kind")
    model: ModelSpec | None = Field(default=None, description="shape of a model made from scratch")
    weights: WeightsSpec | None = Field(default=None, description="open weights to go on from, in place of model")
    teachers: tuple[WeightsSpec, ...] = Field(default=(), description="open weights that its stages learn from")
    stages: tuple[StageEntry, ...] = Field(min_length=1)
    gates: tuple[Gate, ...] = Field(min_length=1)
    limits: Limits | None = Field(default=None, description="terms that its documents may have; none: any")
    noise: dict[str, Margin] = Field(
        default={}, description="standard deviation of metrics over seeds, from `python -m benchmarks seed_noise`"
    )
    noise_seeds: int | None = Field(default=None, ge=2, description="trainings that `noise` was measured on")

    @property
    def external(self) -> tuple[WeightsSpec, ...]:
        """All open weights that it is made from."""
        return (*((self.weights,) if self.weights else ()), *self.teachers)

    @property
    def tokenizer_name(self) -> str:
        """Name of the tokenizer's assets; equal ones share them."""
        if isinstance(self.tokenizer, TokenizerSpec):
            return self.tokenizer.name
        assert self.weights is not None, "an inherited tokenizer comes with weights"
        spec = self.tokenizer
        extended = f"-plus-{spec.domain_tokens}" if spec.domain_tokens else ""
        return "-".join([self.weights.name + extended, *(sorted(spec.domain_sources) if extended else [])])

    @model_validator(mode="after")
    def gates_can_be_judged(self) -> Self:
        if bool(self.noise) != (self.noise_seeds is not None):
            raise ValueError("noise goes with noise_seeds: how far a deviation can be trusted depends on that number")
        for gate in self.gates:
            if gate.gain is not None and gate.metric not in self.noise:
                raise ValueError(
                    f"gate {gate.metric} asks for a gain, and noise.{gate.metric} is not set: a gain counts beyond "
                    f"what another seed brings; measure it with `python -m benchmarks seed_noise {self.name}`"
                )
            if gate.forgetting is not None and self.weights is None and len(self.stages) < 2:
                raise ValueError(
                    f"gate {gate.metric} limits forgetting, and nothing comes after {self.stages[0].called}"
                )
        return self

    @property
    def beginning(self) -> str:
        """The checkpoint that forgetting is measured against."""
        return UNTRAINED if self.weights else self.stages[0].called

    @model_validator(mode="after")
    def begins_somewhere(self) -> Self:
        if (self.model is None) == (self.weights is None):
            raise ValueError("a recipe has either `model` (from scratch) or `weights` (open weights to go on from)")
        inherited = isinstance(self.tokenizer, InheritedTokenizerSpec)
        if inherited != (self.weights is not None):
            raise ValueError(
                f"tokenizer.kind = {self.tokenizer.kind!r}; `inherited` goes with `weights`, `byte-bpe` with `model`"
            )
        kinds, names = [entry.stage for entry in self.stages], [entry.called for entry in self.stages]
        first = BEGINNINGS[1:] if self.weights else BEGINNINGS[:1]
        if kinds[0] not in first:
            raise ValueError(
                f"the first stage is {kinds[0]!r}; a recipe begins with base (from scratch), or continued or start "
                f"(from weights), here {' or '.join(first)}"
            )
        again = [kind for kind in kinds[1:] if kind in BEGINNINGS]
        if again:
            raise ValueError(f"stages = {kinds}: {again[0]} is the first stage or none")
        if len(set(names)) < len(names):
            raise ValueError(f"stages = {names}: each has a name of its own; give one that comes again a `name`")
        if reserved := {UNTRAINED, INCUMBENT} & set(names):
            raise ValueError(
                f"stages = {names}: {UNTRAINED} is the model before its first stage, {INCUMBENT} the one that serves; "
                f"rename {', '.join(sorted(reserved))}"
            )
        return self


def load_recipe(path: Path) -> Recipe:
    """Load one recipe file. Raises RecipeError on a broken rule."""
    return load_named(path, Recipe.model_validate)


def load_recipes(folder: Path) -> dict[str, Recipe]:
    """Load every `*.yaml` of a folder by name."""
    return {path.stem: load_recipe(path) for path in sorted(folder.glob("*.yaml"))}
