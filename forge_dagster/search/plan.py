"""What a study would do and cost, before it begins."""

from typing import Any

from forge_dagster.recipe import Recipe, TokenizerSpec
from forge_dagster.search.price import most_operations
from forge_dagster.search.space import ends_of, first_of, job_of, values_of
from forge_dagster.search.trials import most_of_a_trial
from forge_dagster.search.width import carried
from forge_dagster.study import Study


def plan_of(study: Study, recipe: Recipe) -> dict[str, Any]:
    """Trials, their size, when they are judged and what all may cost, as plain data.

    Raises UserError if the budget is less than a trial.
    """
    from forge_dagster.training.precision import threads

    first, model = first_of(recipe)
    assert isinstance(recipe.tokenizer, TokenizerSpec), "a recipe from scratch has a tokenizer of its own"
    vocabulary = recipe.tokenizer.vocab_size
    most = most_of_a_trial(study, recipe, vocabulary)
    whole = most_operations(
        model,
        vocab_size=vocabulary,
        tokens=first.settings["tokens"],
        sequence_length=first.settings["sequence_length"],
    )
    settings = job_of(study, recipe, values_of(study, recipe)).settings
    total = most * study.trials if study.operations is None else min(most * study.trials, study.operations)
    return {
        "study": study.model_dump(mode="json"),
        "given": values_of(study, recipe),
        "most_trials": study.trials,
        "tokens_each": settings.tokens,
        "steps_each": settings.steps,
        "judged_after_steps": ends_of(settings)[:-1] if study.pruner != "none" else [],
        "most_operations_each": most,
        "most_operations": total,
        "operations_of_the_recipe": whole,
        "trainings_of_the_recipe": round(total / whole, 2),
        "side_by_side": min(threads(), study.batch),
        "carried": carried(model, study.proxy.width),
    }
