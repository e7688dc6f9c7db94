"""The stage of a study: trials until the budget is spent, and the recipe that the best of them proposes."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from forge_dagster.corpus.rights import refuse_mixture
from forge_dagster.errors import DataError, UserError
from forge_dagster.recipe import Recipe
from forge_dagster.search import found as result
from forge_dagster.search.batches import TRIALS, Batches
from forge_dagster.search.chooser import Chooser
from forge_dagster.search.crew import Crew, alone
from forge_dagster.search.found import Found, Trial, best_of
from forge_dagster.search.price import most_operations
from forge_dagster.search.space import OF_A_SOURCE, StudyConfig, first_of, own_point, proposed
from forge_dagster.search.width import carried, resized
from forge_dagster.stage import Finding, Report, Stage, StageContext
from forge_dagster.study import Study

CHECK_NAMES = ("trials_are_counted_once", "the_budget_is_kept", "only_searched_settings_differ")


def run(inputs: Mapping[str, Path], config: StudyConfig, out: Path, context: StageContext) -> Report:
    """Write study.json, trials.parquet and the proposed recipe; beside them plots.

    The bytes depend on the configuration and the inputs, not on how many processes train, nor on which ended first.
    Raises UserError if the budget is less than a trial, DataError if the metric's source has no validation documents or
    no trial came to its end, IntegrityError if the work folder is of other trials, and what base stage and crew raise.
    """
    from forge_dagster.search.plots import draw
    from forge_dagster.tokens.reader import open_documents
    from forge_dagster.training.cost import matmul_peak
    from forge_dagster.training.execution import execution
    from forge_dagster.training.precision import thread_limit, threads

    study, recipe = config.study, config.recipe
    refuse_mixture(inputs, recipe.limits)
    vocabulary = open_documents(inputs["token_shards"], "train").vocab_size
    _refuse_unmeasured(study, open_documents(inputs["token_shards"], "validation").sources)
    most = most_of_a_trial(study, recipe, vocabulary)
    how = execution(alone(os.environ))
    folder = context.work / TRIALS
    folder.mkdir(exist_ok=True)
    with thread_limit(how.threads):
        matmul_peak(how, folder)
    own = own_point(study, recipe)
    side_by_side = 1 if how.device == "cuda" else min(threads(), study.batch)
    with Crew(side_by_side, folder, context.cancelled) as crew:
        searched = Batches(config, inputs, context, crew, Chooser(study, own))
        while count := trials_next(study, searched.done, most):
            searched.batch(count)
    trials, best = searched.done, best_of(searched.done)
    if best is None:
        raise DataError(
            f"none of {len(trials)} trials came to its end; the first: {trials[0].reason}",
            rule="a study proposes the settings of a trial that was trained to its end",
            mend="lower the learning rates of the space",
        )
    _, model = first_of(recipe)
    found = Found(
        study=study,
        recipe=recipe,
        own=0 if own is not None else None,
        best=best,
        carried=carried(model, study.proxy.width),
        most_operations=most,
        importance=searched.chooser.importance(),
        trials=tuple(trials),
    )
    result.write(found, proposed(recipe, found.proposal), out)
    draw(found, context.beside)
    return _report(found)


def trials_next(study: Study, done: list[Trial], most: int) -> int:
    """How many trials the next batch has: none may take the study over its budget, if each cost the `most`."""
    count = min(study.batch, study.trials - len(done))
    if study.operations is not None:
        count = min(count, (study.operations - sum(trial.operations for trial in done)) // most)
    return count


def most_of_a_trial(study: Study, recipe: Recipe, vocabulary: int) -> int:
    """The most that a trial costs. Raises UserError if the budget is less."""
    first, model = first_of(recipe)
    most = most_operations(
        resized(model, study.proxy.width),
        vocab_size=vocabulary,
        tokens=study.proxy.tokens,
        sequence_length=first.settings["sequence_length"],
    )
    if study.operations is not None and study.operations < most:
        raise UserError(
            f"a budget of {study.operations:,} operations, and one trial may take {most:,}",
            rule="a study trains one trial at least",
            mend="raise the budget, or lower the proxy's tokens or width",
        )
    return most


def _refuse_unmeasured(study: Study, sources: Any) -> None:
    source = study.metric.removeprefix(OF_A_SOURCE)
    if source != study.metric and source not in sources:
        raise DataError(
            f"metric {study.metric}: source {source} has no validation documents",
            rule=f"documents are held out of {', '.join(sources)}",
            mend="choose one of these, or the metric of all sources",
        )


def _report(found: Found) -> Report:
    best = found.trials[found.best].value
    assert best is not None, "the best trial is complete"
    own = None if found.own is None else found.trials[found.own].value
    return Report(
        counts={
            "trials": len(found.trials),
            **{state: found.count(state) for state in ("complete", "pruned", "diverged")},
        },
        metrics={
            "best": best,
            **({"recipe": own} if own is not None else {}),
            "floating_point_operations": float(found.operations),
            **{f"importance/{key}": share for key, share in found.importance.items()},
        },
    )


def check(content: Path) -> list[Finding]:
    """Judge a study: trials are numbered through, its budget is kept, its recipe is one and differs as it may."""
    found, recipe = result.read(content)
    numbers = [trial.number for trial in found.trials]
    budget = found.study.operations
    return [
        Finding(name=CHECK_NAMES[0], passed=numbers == list(range(len(numbers))), observed={"trials": len(numbers)}),
        Finding(
            name=CHECK_NAMES[1],
            passed=budget is None or found.operations <= budget,
            observed={"operations": found.operations, "budget": budget},
        ),
        Finding(name=CHECK_NAMES[2], passed=recipe == proposed(found.recipe, found.proposal)),
    ]


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
