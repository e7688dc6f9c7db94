"""The comparison stage: every arm is asked the same items within one budget of tokens, and told apart by pairs."""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from forge_dagster.comparison import Arm, Comparison
from forge_dagster.errors import InterruptedRun
from forge_dagster.evaluation import evidence
from forge_dagster.evaluation.arms_table import Arms, Cell, Row, cells, reading
from forge_dagster.evaluation.candidates import candidate_in
from forge_dagster.evaluation.measure import Measuring
from forge_dagster.evaluation.prompts import ANSWERS, TOKENS, Asked, Prompts
from forge_dagster.evaluation.score import Metric, Result, aggregate
from forge_dagster.evaluation.scorecard import data_in, environment, measured
from forge_dagster.evaluation.standing import Standing
from forge_dagster.stage import Finding, Report, Stage, StageContext
from forge_dagster.tokens.encoding import load_encoder

FILE = "comparison.json"
PLOT = "comparison.png"
REPLY = f"{ANSWERS}.{TOKENS}"
CHECK_NAMES = ("every_arm_is_measured", "every_prompt_is_within_the_budget")


class ArmsConfig(Measuring):
    """What is compared, and of each arm the stages of its recipe up to its checkpoint."""

    comparison: Comparison
    stages: Mapping[str, tuple[str, ...]]


def trained(recipe: str, stage: str) -> str:
    """Input name of the checkpoint of a recipe's stage."""
    return f"trained/{recipe}/{stage}"


def run(inputs: Mapping[str, Path], config: ArmsConfig, out: Path, context: StageContext) -> Report:
    """Write comparison.json and items.parquet; beside them a plot. Any failed evaluation raises."""
    from forge_dagster.evaluation.arms_plot import plot
    from forge_dagster.training.precision import thread_limit, threads

    data_in(context.work / "datasets")
    arms = config.comparison.arms
    folders = {arm.name: inputs[trained(arm.recipe, arm.stage)] for arm in arms}
    encoders = [load_encoder(folder) for folder in dict.fromkeys(folders.values())]
    prompts = Prompts(inputs, config, config.comparison, encoders, context.work)
    standing = Standing(context.cache, environment())
    asked: dict[str, list[Asked]] = {}

    def progress(number: int, arm: Arm, done: int, task: str) -> None:
        share = done / len(asked[arm.name])
        context.progress(round(100 * (number + share)), 100 * len(arms), f"{arm.name}: {task}")
        if context.cancelled():
            raise InterruptedRun("the comparison stopped", mend="run the same command again")

    found: dict[str, dict[str, list[Result]]] = {}
    with thread_limit(threads()):
        for number, arm in enumerate(arms):
            folder = folders[arm.name]
            asked[arm.name] = prompts.of(arm, folder, _shape(folder)["max_position_embeddings"])
            tasks = [each.task for each in asked[arm.name]]
            found[arm.name] = measured(
                arm.name, candidate_in(folder), tasks, standing, config.seed, partial(progress, number, arm)
            )
    evidence.write_evidence(found, out / evidence.FILE)
    results = evidence.read_evidence(out / evidence.FILE)
    scores, best = cells(results, _metrics(asked))
    rows = tuple(_row(arm, inputs, config, asked[arm.name], results[arm.name], scores[arm.name]) for arm in arms)
    body = Arms(
        name=config.comparison.name,
        inference_tokens=config.comparison.inference_tokens,
        left_out=prompts.left_out,
        metrics=_metrics(asked),
        best=best,
        rows=rows,
        reading=reading(rows, best),
    )
    (out / FILE).write_text(body.model_dump_json(indent=1) + "\n", encoding="utf-8")
    plot(body, context.beside / PLOT)
    return Report(
        counts={"arms": len(rows), "metrics": len(best), "items_left_out": sum(prompts.left_out.values())},
        metrics={f"best/{metric}": scores[arm][metric].value for metric, arm in best.items()},
    )


def _metrics(asked: Mapping[str, Sequence[Asked]]) -> dict[str, Metric]:
    """Every metric that is a merit, by `task.metric`."""
    tasks = {each.task.name: each.task for arm in asked.values() for each in arm}
    named = {f"{task.name}.{metric}": how for task in tasks.values() for metric, how in task.metrics.items()}
    return {name: how for name, how in named.items() if name != REPLY}


def _row(
    arm: Arm,
    inputs: Mapping[str, Path],
    config: ArmsConfig,
    asked: Sequence[Asked],
    results: Mapping[str, Sequence[Result]],
    scores: Mapping[str, Cell],
) -> Row:
    from forge_dagster.model.folder import load_model
    from forge_dagster.training.cost import Cost, read_cost

    model = load_model(inputs[trained(arm.recipe, arm.stage)])
    tokens = sum(read_cost(inputs[trained(arm.recipe, stage)])[0] for stage in config.stages[arm.name])
    return Row(
        arm=arm.name,
        recipe=arm.recipe,
        stage=arm.stage,
        retrieval=arm.retrieval,
        parameters=model.num_parameters(),
        training_tokens=tokens,
        training_operations=tokens * Cost(model).a_token,
        prompt_tokens={each.task.name: each.prompt_tokens for each in asked if each.prompt_tokens},
        reply_tokens=aggregate(results[REPLY], Metric(better="lower")).value,
        holds_answer={each.task.name: each.holds_answer for each in asked if each.holds_answer is not None},
        scores=scores,
    )


def _shape(folder: Path) -> dict[str, int]:
    return dict(json.loads((folder / "config.json").read_bytes()))


def read(content: Path) -> Arms:
    """The comparison of a folder."""
    return Arms.model_validate_json((content / FILE).read_bytes())


def check(content: Path) -> list[Finding]:
    """Every arm has every score but those of text, which passages do not help to read; no prompt passes the budget."""
    body = read(content)
    wanted = {name for name in body.metrics if not name.endswith(".bits_per_byte")}
    bare = [row.arm for row in body.rows if not wanted <= set(row.scores)]
    over = [row.arm for row in body.rows if max(row.prompt_tokens.values()) > body.inference_tokens]
    return [
        Finding(name=CHECK_NAMES[0], passed=not bare, observed={"without": bare}),
        Finding(name=CHECK_NAMES[1], passed=not over, observed={"over": over}),
    ]


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
