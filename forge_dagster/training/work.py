"""One pre-training as data, so that another process can be told to take part; and its run by the loop."""

from pathlib import Path

from forge_dagster.recipe import ModelSpec
from forge_dagster.stage import FrozenModel, StageContext
from forge_dagster.tokens.reader import Documents
from forge_dagster.training.execution import Execution
from forge_dagster.training.learner import Learner
from forge_dagster.training.loop import Outcome, pretrain
from forge_dagster.training.settings import Settings
from forge_dagster.training.validation import INTERIM_TOKENS, score_sources


class Work(FrozenModel):
    """What is trained on what, where and how."""

    seed: int
    shape: ModelSpec | None
    """Of a model made from scratch; none if the inputs have weights."""
    settings: Settings
    inputs: dict[str, Path]
    folder: Path
    """The stage's work folder, seen by all hosts."""
    identity: dict[str, str]
    execution: Execution
    peak: float | None
    """Operations a second that all processes together can do at best; none: measured where they run."""


def work_out(learner: Learner, work: Work, held_out: Documents, context: StageContext) -> Outcome:
    """Train the learner's model by the loop, validating on `held_out`. Raises what the loop does."""
    settings = work.settings

    def validate() -> dict[str, float]:
        most = min(settings.validation_tokens, INTERIM_TOKENS)
        with learner.whole([learner.model.get_output_embeddings().weight]):
            scores = score_sources(
                learner.model,
                held_out,
                most_tokens=most,
                dtype=work.execution.dtype,
                window=settings.sequence_length,
            )
        return {name: scored.bits_per_byte for name, scored in scores.items()}

    return pretrain(
        learner,
        seed=work.seed,
        identity=work.identity,
        context=context,
        validate=validate,
        peak=work.peak,
        checkpoints=work.folder / "checkpoints",
    )
