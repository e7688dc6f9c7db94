"""The sampled preference stage: DPO on the model's own answers, the best of several over the worst by their rewards."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from forge_dagster.errors import DataError
from forge_dagster.pairs.on_policy import Preferred, preferred
from forge_dagster.pairs.sampling import Sampling
from forge_dagster.stage import Report, StageContext
from forge_dagster.stages import preference
from forge_dagster.training.job import TrainingJob
from forge_dagster.training.scoring import Judge

NEEDS = ("instructions", "policy_items")
SAMPLED = "sampled.parquet"


class Settings(preference.Settings):
    """Settings of the preference stage, and how its pairs are made."""

    answer_form: str = Field(description="regular expression that a whole answer in form matches")
    prompts: int = Field(ge=1, description="prompts that are answered")
    policy_share: float = Field(ge=0, le=1, description="of the prompts, items of policies, each policy as often")
    sampling: Sampling
    least_margin: float = Field(gt=0, description="rewards that are nearer make no pair")
    reward_model: Judge | None = Field(
        default=None, description="a reward model with a part in the reward; without it all is the verifiable one"
    )


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Answer the prompts by the model it begins with, pair the answers, train as the preference stage does.

    Writes sampled.parquet beside the content. Raises DataError if no prompt gives a pair, and what the preference
    stage raises.
    """
    from trl import DPOTrainer

    from forge_dagster.pairs.policy_items import read_policies
    from forge_dagster.pairs.sampling import sampled
    from forge_dagster.training import trl_common as common
    from forge_dagster.training.precision import effective_dtype, thread_limit, threads
    from forge_dagster.training.prompts import prompts
    from forge_dagster.training.scoring import reward_function, rewards_of

    settings, how = config.settings, config.settings.sampling
    model, tokenizer = common.begin(inputs, config.seed)
    rows = prompts(
        inputs,
        tokenizer,
        count=settings.prompts,
        policy_share=settings.policy_share,
        room=model.config.max_position_embeddings - how.max_new_tokens,
        seed=config.seed,
    )
    verifiable = reward_function(settings.answer_form, read_policies(inputs["policy_items"]))
    with thread_limit(threads()):
        samples = sampled(
            model,
            tokenizer,
            rows,
            how,
            rewards_of(settings.reward_model, inputs, verifiable),
            identity={**common.identity(config, inputs), "dtype": effective_dtype(), "threads": threads()},
            seed=config.seed,
            context=context,
        )
    pairs, counts = preferred(samples, least_margin=settings.least_margin)
    if not pairs:
        raise DataError(
            f"none of {counts['prompts']} prompts gives a pair: to {counts['same_answer']} the model says one thing, "
            f"the answers to {counts['rewarded_alike']} are rewarded alike",
            rule="a preference needs two answers that differ in reward",
            mend="train SFT longer, raise temperature or answers, or lower least_margin",
        )
    folder = context.work / "sampled"
    _write(pairs, folder, context.beside / SAMPLED)
    report = preference.prefer({**inputs, "preferences": folder}, config, out, context, trainer=DPOTrainer)
    margin = sum(pair.margin for pair in pairs) / len(pairs)
    return report.model_copy(
        update={
            "counts": {**report.counts, **{name: count for name, count in counts.items() if name != "pairs"}},
            "metrics": {**report.metrics, "reward_margin": margin},
        }
    )


def _write(pairs: Sequence[Preferred], folder: Path, beside: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([pair._asdict() for pair in pairs])
    for path in (folder / "rows.parquet", beside):
        pq.write_table(table, path, compression="zstd")


STAGE = replace(preference.STAGE, run=run)
