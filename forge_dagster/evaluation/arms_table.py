"""A comparison as a type: what each arm cost and scored, which is best, and which cannot be told from it."""

from collections.abc import Mapping, Sequence

from forge_dagster.evaluation.score import Metric, Result, aggregate
from forge_dagster.evaluation.statistics import ALPHA, Paired, holm, paired
from forge_dagster.stage import FrozenModel

PRIMARY = ("facts_unseen.acc", "answers.correct")
"""What the sentence at the end is about: the first of these that was asked, else the first metric."""


class Cell(FrozenModel):
    """A score of one arm; `to_best` is its distance from the best arm on the same items, null for that one itself.

    `p_as_good` is the chance of so large a distance if the two were alike, adjusted for all arms (Holm).
    """

    value: float
    stderr: float | None
    n: int
    to_best: Paired | None
    p_as_good: float = 1.0

    @property
    def is_best(self) -> bool:
        """Whether the arm is the best one, or cannot be told from it."""
        return self.p_as_good >= ALPHA


class Row(FrozenModel):
    """One arm: what it is, what it cost, what it scored.

    `training_operations` are 6 a parameter and token of text that it learned from, attention left out.
    """

    arm: str
    recipe: str
    stage: str
    retrieval: bool
    parameters: int
    training_tokens: int
    training_operations: int
    prompt_tokens: Mapping[str, float]
    reply_tokens: float
    holds_answer: Mapping[str, float]
    scores: Mapping[str, Cell]


class Arms(FrozenModel):
    """Every arm, and what follows from them.

    `left_out` counts items, by task, of which a choice alone passes the budget in some arm: no arm was asked them.
    """

    version: int = 1
    name: str
    inference_tokens: int
    left_out: Mapping[str, int] = {}
    metrics: Mapping[str, Metric]
    best: Mapping[str, str]
    rows: tuple[Row, ...]
    reading: str


def cells(
    found: Mapping[str, Mapping[str, Sequence[Result]]], metrics: Mapping[str, Metric]
) -> tuple[dict[str, dict[str, Cell]], dict[str, str]]:
    """Arm -> metric -> cell, and the best arm of each metric; `found`: arm -> metric -> results of the same items.

    An arm that was not asked for a metric has no cell there. Items are paired by name: what stands before a question
    differs between arms.
    """
    made: dict[str, dict[str, Cell]] = {arm: {} for arm in found}
    best: dict[str, str] = {}
    for metric, how in metrics.items():
        of = {
            arm: [result._replace(digest=result.item) for result in results[metric]]
            for arm, results in found.items()
            if metric in results
        }
        scores = {arm: aggregate(results, how) for arm, results in of.items()}
        sign = 1 if how.better == "higher" else -1
        winner = best[metric] = max(scores, key=lambda arm: sign * scores[arm].value)
        apart = {arm: paired(results, of[winner], how) for arm, results in of.items() if arm != winner}
        chances = holm({arm: pair.p_equal for arm, pair in apart.items() if pair})
        for arm, score in scores.items():
            made[arm][metric] = Cell(
                value=score.value,
                stderr=score.stderr,
                n=score.n,
                to_best=apart.get(arm),
                p_as_good=chances.get(arm, 1.0),
            )
    return made, best


def reading(rows: Sequence[Row], best: Mapping[str, str]) -> str:
    """One sentence: who is best at the metric that matters most, who is as good as that, and how far the others are."""
    metric = next((name for name in PRIMARY if name in best), next(iter(best)))
    of = {row.arm: row.scores[metric] for row in rows if metric in row.scores}
    winner = best[metric]
    near = [arm for arm, cell in of.items() if arm != winner and cell.is_best]
    far = [arm for arm, cell in of.items() if not cell.is_best]
    said = f"By {metric} the best is {winner} ({of[winner].value:.3f} of {of[winner].n} items)"
    said += f"; {', '.join(near)} cannot be told from it" if near else "; no other is as good"
    if far:
        apart = sorted(abs(of[arm].value - of[winner].value) for arm in far)
        worse = f"{apart[0]:.3f}" if len(far) == 1 else f"{apart[0]:.3f} to {apart[-1]:.3f}"
        said += f"; {', '.join(far)} {'is' if len(far) == 1 else 'are'} worse by {worse}"
    return said + "."
