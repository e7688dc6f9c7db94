"""What a model would cost to train, before it is trained."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from forge_dagster.model.build import build_model
from forge_dagster.model.folder import load_model
from forge_dagster.recipe import Recipe
from forge_dagster.tokens.encoding import load_encoder
from forge_dagster.training.conversations import epoch_cost, taught
from forge_dagster.training.cost import Cost


def price(
    recipe: Recipe, tokenizer: Path, instructions: Path, weights: Path | None, sft: Mapping[str, Any]
) -> dict[str, int]:
    """Operations a token of text, attention left out, and of an epoch over the instructions.

    Of the model in the folder `weights`, else of the recipe's, in the tokens of `tokenizer`.
    """
    model: PreTrainedModel
    if weights is not None:
        model = load_model(weights)
    else:
        assert recipe.model is not None, "a recipe from scratch has a shape"
        size = load_encoder(tokenizer).get_vocab_size()
        model = build_model(recipe.model, vocab_size=size, positions=sft["max_length"], seed=recipe.seed)
    told = taught(instructions, tokenizer, sft["answer_template"], sft["max_length"])
    _, epoch = epoch_cost(model, told)
    return {"a_token": Cost(model).a_token, "an_epoch": epoch}
