"""Which point is tried next, and which trial ends early: Optuna, asked in an order that no clock has a say in.

Each point is drawn by a sampler seeded by the study's seed and the trial's number, from what earlier batches were told
and what stands open in this one (a constant liar, or its like of the Gaussian process, keeps a batch apart). So the
whole sequence follows from the study and the measurements: whoever asks again and tells the same gets the same trials,
and no file of Optuna's has to outlive a crash.
"""

from typing import TYPE_CHECKING, Any

from forge_dagster.chance import number
from forge_dagster.search.space import rounded
from forge_dagster.study import Point, Study, Values

if TYPE_CHECKING:
    from optuna import Study as Asked
    from optuna import Trial
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler

FEWEST = 4
"""Trials at least that are drawn blindly first, and that must have ended before one is ended early: one more than there
are settings. From fewer complete ones nothing is said of importance."""

BEST = 5
"""Trials that importance looks at, if these are between a tenth and half of the complete ones."""


class Chooser:
    """The trials of one study so far."""

    def __init__(self, study: Study, own: Point | None) -> None:
        """Begin with the recipe's `own` settings, if they are given."""
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study, self._own = study, own
        self._startup = max(len(study.space) + 1, FEWEST)
        self._space = {key: _distribution(values) for key, values in study.space.items()}
        self._asked: Asked = optuna.create_study(study_name=study.name, pruner=self._pruner(), direction="minimize")
        if own is not None:
            self._asked.enqueue_trial(own)

    def ask(self) -> "tuple[Trial, Point]":
        """The next trial and its point."""
        self._asked.sampler = self._sampler(len(self._asked.trials))
        trial = self._asked.ask(self._space)
        if trial.number == 0 and self._own is not None:
            return trial, self._own
        return trial, {key: _plain(self._study.space[key], value) for key, value in trial.params.items()}

    def keep(self, trial: "Trial", piece: int, value: float) -> None:
        """Take note of what a trial was worth after a piece, from 1 on; tell all of a batch before `ends_early`."""
        trial.report(value, piece)

    def ends_early(self, trial: "Trial") -> bool:
        """Whether a trial is not worth going on with; if so, it has ended."""
        if not trial.should_prune():
            return False
        self.end(trial, None)
        return True

    def end(self, trial: "Trial", value: float | None) -> None:
        """End a trial with its value; one without was ended early, or diverged, and ranks below all that have one."""
        from optuna.trial import TrialState

        self._asked.tell(trial, value, state=TrialState.COMPLETE if value is not None else TrialState.PRUNED)

    def importance(self) -> dict[str, float]:
        """Share of each setting in what makes trials the best (PED-ANOVA, Watanabe et al. 2023, arXiv:2304.10255).

        None from few trials.
        """
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
        from optuna.trial import TrialState

        complete = len(self._asked.get_trials(states=(TrialState.COMPLETE,)))
        if complete < FEWEST:
            return {}
        best = min(max(BEST / complete, 0.1), 0.5)
        found = get_param_importances(self._asked, evaluator=PedAnovaImportanceEvaluator(target_quantile=best))
        return {key: round(float(share), 4) for key, share in found.items()}

    def _sampler(self, trial: int) -> "BaseSampler":
        from optuna.samplers import GPSampler, RandomSampler, TPESampler

        seed = number(self._study.seed, f"trial {trial}") % 2**32
        if self._study.sampler == "random":
            return RandomSampler(seed=seed)
        if self._study.sampler == "gp":
            return GPSampler(seed=seed, n_startup_trials=self._startup)
        return TPESampler(seed=seed, n_startup_trials=self._startup, constant_liar=True)

    def _pruner(self) -> "BasePruner":
        from optuna.pruners import HyperbandPruner, MedianPruner, NopPruner

        if self._study.pruner == "median":
            return MedianPruner(n_startup_trials=self._startup)
        if self._study.pruner == "hyperband":
            return HyperbandPruner(max_resource=self._study.pieces, reduction_factor=2)
        return NopPruner()


def _distribution(values: Values) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if values.choices:
        return CategoricalDistribution(values.choices)
    assert values.low is not None, "it is a range"
    assert values.high is not None, "it is a range"
    return FloatDistribution(values.low, values.high, log=values.log)


def _plain(values: Values, value: Any) -> Any:
    """A value as it stands in a recipe: few digits, and within its range still."""
    if values.low is None or values.high is None:
        return value
    return min(max(rounded(value), values.low), values.high)
