"""The SFT stage: the model learns to answer in the asked form, with the loss on the answers alone."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import Field

from forge_dagster.errors import DataError
from forge_dagster.stage import FrozenModel, Report, Stage, StageContext
from forge_dagster.stages.base import CHECK_NAMES, check
from forge_dagster.training.job import TrainingJob

NEEDS = ("instructions",)
IGNORED = -100


class Settings(FrozenModel):
    """Settings of the SFT stage; nothing that changes the result has a default."""

    answer_template: str = Field(pattern=r"\{answer\}", description="the asked form; {answer} is what is said")
    learning_rate: float = Field(gt=0)
    warmup_share: float = Field(ge=0, lt=1)
    epochs: float = Field(gt=0)
    batch_size: int = Field(ge=1, description="conversations of one step")
    max_length: int = Field(ge=16, description="tokens; longer conversations are left out")


def run(inputs: Mapping[str, Path], config: TrainingJob[Settings], out: Path, context: StageContext) -> Report:
    """Fine-tune on the train split of the instructions (TRL SFTTrainer). Raises DataError if no row fits."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from forge_dagster.model.folder import write_model
    from forge_dagster.tokens.encoding import encode_chat, load_encoder
    from forge_dagster.training import trl_common as common
    from forge_dagster.training.precision import thread_limit, threads

    settings = config.settings
    model, tokenizer = common.begin(inputs["previous"], config.seed)
    encoder = load_encoder(inputs["tokenizer"])
    examples = []
    rows = common.text_rows(inputs["instructions"] / "rows.parquet", ("question", "answer"))
    for row in rows:
        if row["split"] != "train":
            continue
        answer = settings.answer_template.replace("{answer}", row["answer"].rstrip(". "))
        turns = [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": answer}]
        prompt, whole = encode_chat(encoder, turns[:1], answer_next=True), encode_chat(encoder, turns)
        if len(whole) <= settings.max_length:
            labels = [IGNORED] * len(prompt) + whole[len(prompt) :]
            examples.append({"input_ids": whole, "labels": labels})
    if not examples:
        raise DataError(
            f"no conversation of at most {settings.max_length} tokens among {len(rows)} instructions",
            rule="max_length holds a question and its answer",
            mend="raise max_length in the recipe",
        )
    arguments = SFTConfig(
        **common.arguments(context, config.seed),
        learning_rate=settings.learning_rate,
        warmup_steps=settings.warmup_share,
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        max_length=settings.max_length,
    )
    with thread_limit(threads()):
        trainer = SFTTrainer(
            model=model,
            args=arguments,
            train_dataset=Dataset.from_list(examples),
            processing_class=tokenizer,
            callbacks=[common.Progress(context, "loss")],
        )
        log = common.train(trainer, context, plot="loss")
    write_model(model, inputs["tokenizer"], out)
    first, last = common.ends(log, "loss")
    return Report(
        counts={"conversations": len(examples), "steps": len(log)}, metrics={"loss": last, "first_loss": first}
    )


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES, computes_floats=True)
