"""From a narrow model to a wide one: the shape of a proxy, and how learning rates depend on width.

Muon moves a hidden matrix by `lr * sqrt(max(1, rows / columns))` times a semi-orthogonal one (training/optimizer.py).
Where rows and columns grow alike, its spectral norm stays in proportion to sqrt(fan-out / fan-in), and what features
change by in a step stays the same at every width (Yang, Simon and Bernstein 2023, arXiv:2310.17813; for Muon Bernstein
and Newhouse 2024, arXiv:2409.20325): the rate is carried as it is.

AdamW moves each entry by about `lr`. An embedding and the gain of a norm act on one entry a coordinate: the rate is
carried as it is. A head, or a router, sums `width` such entries that agree in sign, so its rate falls as 1 / width
(Yang et al. 2022, Tensor Programs V, arXiv:2203.03466, table 3). A tied embedding is a head too, and that is the
stricter use. Weight decay is a multiple of Muon's rate, and stays.

This holds for width alone. Nothing is carried from fewer tokens, or from another depth, batch or vocabulary.
"""

from forge_dagster.errors import UserError
from forge_dagster.recipe import ModelSpec
from forge_dagster.training.settings import RATES

AGREEING = frozenset({"head_lr", "router_lr"})
"""Rates of matrices that sum over the width and are moved entry by entry."""
MULTIPLE = 8
"""The width of an MLP is rounded to a multiple of it."""


def carried(model: ModelSpec, width: int) -> dict[str, float]:
    """What each learning rate of the model is multiplied by in one of another width."""
    falls = AGREEING | ({"embedding_lr"} if model.tie_embeddings else set())
    return {rate: model.hidden_size / width if rate in falls else 1.0 for rate in RATES}


def widths(model: ModelSpec) -> range:
    """Hidden sizes, up to the model's, that a whole number of its heads fills."""
    unit = model.hidden_size // model.kv_heads
    return range(unit, model.hidden_size + 1, unit)


def resized(model: ModelSpec, width: int) -> ModelSpec:
    """The model with another hidden size: heads keep their size and become fewer. Raises UserError if they cannot."""
    if width not in widths(model):
        raise UserError(
            f"a proxy of width {width} for a model of hidden_size {model.hidden_size} with {model.heads} heads and "
            f"{model.kv_heads} of keys",
            rule=f"heads keep their size, so the width is one of {', '.join(map(str, widths(model)))}",
            mend="choose one of these",
        )
    parts = round(model.intermediate_size * width / model.hidden_size / MULTIPLE)
    return model.model_copy(
        update={
            "hidden_size": width,
            "intermediate_size": max(parts, 1) * MULTIPLE,
            "heads": model.heads * width // model.hidden_size,
            "kv_heads": model.kv_heads * width // model.hidden_size,
        }
    )
