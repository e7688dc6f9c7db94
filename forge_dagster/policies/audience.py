"""Keep to the audience: readers are told what their documents say, and no reader what others' documents say."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator, Field

from forge_dagster.chance import number
from forge_dagster.policy import Item, Material
from forge_dagster.rewards import placeholders, says
from forge_dagster.stage import FrozenModel

EVERYONE = "everyone"


class Settings(FrozenModel):
    """Who asks, how the model learns of it, and how it refuses."""

    readers: tuple[str, ...] = Field(min_length=1, description="who may ask: the names that sources use in `audience`")
    ask: Annotated[str, AfterValidator(placeholders("reader", "question"))]
    refusal: str = Field(min_length=8, description="the whole answer to a reader who may not see a document")


class Case(FrozenModel):
    """What the reader is to be told: the answer, or the refusal."""

    expected: str


def reward(text: str, case: Case, settings: Settings) -> float:
    """1 if the reader is told exactly what is meant for them."""
    return float(says(text, case.expected))


def items(material: Material, settings: Settings) -> Iterator[Item]:
    """Two for each question of limited audience, judged together: a reader who may know, and one who may not."""
    for asked in material.asked:
        may = {who for name in asked.document_ids if name in material.documents
               for who in material.documents[name].audience}  # fmt: skip
        let = [reader for reader in settings.readers if reader in may]
        kept_out = [reader for reader in settings.readers if reader not in may]
        if EVERYONE in may or not let or not kept_out:
            continue
        draw, answer = number(material.seed, asked.question), material.in_form(asked.answer)
        for readers, expected, breaks in (
            (let, answer, (settings.refusal,)),
            (kept_out, settings.refusal, (answer, f"{settings.refusal} {answer}")),
        ):
            reader = readers[draw % len(readers)]
            yield Item(
                prompt=settings.ask.replace("{reader}", reader).replace("{question}", asked.question),
                case={"expected": expected},
                keeps=expected,
                breaks=breaks,
                document_ids=asked.document_ids,
                held_out=asked.held_out,
                group=asked.question,
            )
