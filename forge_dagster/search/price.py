"""What a trial, and the whole recipe's first stage, may cost at most, before anything is trained."""

from forge_dagster.recipe import ModelSpec


def most_operations(model: ModelSpec, *, vocab_size: int, tokens: int, sequence_length: int) -> int:
    """Operations of a training on so many tokens if every row is one document; no training counts more."""
    import torch
    from transformers import AutoModelForCausalLM

    from forge_dagster.model.build import configure
    from forge_dagster.training.cost import Cost

    config = configure(model, vocab_size=vocab_size, positions=sequence_length)
    with torch.device("meta"):  # shapes without weights
        cost = Cost(AutoModelForCausalLM.from_config(config))
    return cost.a_token * tokens + cost.a_pair * tokens * (sequence_length + 1) // 2
