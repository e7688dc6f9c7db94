"""What every stage of post-training is told: how fast it learns, and whether all weights change or low-rank updates."""

from pydantic import Field

from forge_dagster.stage import FrozenModel


class Lora(FrozenModel):
    """Low-rank updates of some matrices, trained in place of all weights (Hu et al. 2021)."""

    rank: int = Field(ge=1, description="rank of each update")
    alpha: int = Field(ge=1, description="an update is scaled by alpha / rank")
    modules: tuple[str, ...] = Field(
        min_length=1, description="ends of the names of the matrices that are updated, e.g. q_proj, v_proj"
    )


class Tuning(FrozenModel):
    """Settings of every stage that trains a language model further; nothing that changes the result has a default."""

    learning_rate: float = Field(gt=0)
    warmup_share: float = Field(ge=0, lt=1)
    lora: Lora | None = Field(
        default=None,
        description="if given, the stage makes an adapter of such updates, and `merge` comes next; else it trains "
        "all weights",
    )
