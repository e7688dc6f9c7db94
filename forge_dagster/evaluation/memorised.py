"""A measure: how well planted canaries are remembered, as exposure and by greedy extraction.

Carlini et al. 2019, The Secret Sharer: exposure (section 4.2) estimated by sampling the space (section 4.3).
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq

from forge_dagster.chance import number
from forge_dagster.evaluation.canary import Canaries, Canary, read_canaries
from forge_dagster.evaluation.harness import how, loglikelihoods
from forge_dagster.evaluation.measure import Measuring, Subject, Task, item_digests
from forge_dagster.evaluation.score import Metric, Result

PLANTED, UNPLANTED = "canaries", "canaries_unplanted"
SAMPLED = 63  # other values of a canary; with itself 64, so that exposure is 6 bits at most
METRICS = {
    "exposure": Metric(better="lower"),
    "most_exposure": Metric(better="lower", aggregate="maximum"),
    "extracted": Metric(better="lower"),
}
"""Bits by which a canary stands out, of all on average and of the most remembered one; share that greedy decoding
gives. A canary that stands nowhere has log2(e) = 1.44 bits on average."""


class Placed(NamedTuple):
    """A canary, the values it is compared with, and in how many training documents it stands."""

    canary: Canary
    others: tuple[str, ...]
    documents: int


def memorised(inputs: Mapping[str, Path], config: Measuring, work: Path) -> Sequence[Task]:
    """`canaries.*` of those that training documents hold, `canaries_unplanted.*` of the others, where there are any."""
    declared = [read_canaries(path) for name, path in sorted(inputs.items()) if name.startswith("canaries/")]
    placed = list(_placed(declared, inputs["corpus"] / "train.parquet", config.seed)) if declared else []
    sides = {PLANTED: [each for each in placed if each.documents], UNPLANTED: [p for p in placed if not p.documents]}
    return [_task(name, side, config.batch_size) for name, side in sides.items() if side]


def _placed(declared: Sequence[Canaries], corpus: Path, seed: int) -> Iterator[Placed]:
    found = [(group, canary) for group in declared for canary in group.canaries]
    counts = dict.fromkeys((f"{canary.prefix} {canary.said}" for _, canary in found), 0)
    for batch in pq.ParquetFile(corpus).iter_batches(columns=["text"]):
        for text in batch["text"].to_pylist():
            plain = " ".join(text.split())
            for sentence in counts:
                counts[sentence] += sentence in plain
    for group, canary in found:
        others = tuple(_others(group, canary, seed))
        yield Placed(canary, others, counts[f"{canary.prefix} {canary.said}"])


def _others(group: Canaries, canary: Canary, seed: int) -> Iterator[str]:
    """Different values of the canary's space, drawn by hash; all of them if it is small."""
    made = {canary.said}
    wanted = min(SAMPLED, group.size(canary) - 1)
    draw = 0
    while len(made) <= wanted:
        parts = [group.spaces[space] for space in canary.spaces]
        value = " ".join(
            words[number(seed, f"{canary.id}/{draw}/{place}") % len(words)] for place, words in enumerate(parts)
        )
        draw += 1
        if value not in made:
            made.add(value)
            yield value


def _task(name: str, placed: Sequence[Placed], batch_size: int) -> Task:
    items = [{"said": each.canary.said, "prefix": each.canary.prefix, "others": each.others} for each in placed]
    digests = item_digests(name, items, [f"{each.canary.id}/{each.documents} documents" for each in placed])

    def ask(subject: Subject) -> list[Result]:
        asked = [(each.canary.prefix, f" {said}") for each in placed for said in (each.canary.said, *each.others)]
        found = iter(loglikelihoods(subject.model, subject.tokenizer, asked, batch_size=batch_size))
        results = []
        for (item, digest), each in zip(digests.items(), placed, strict=True):
            own, greedy = next(found)
            others = [next(found)[0] for _ in each.others]
            bits = exposure(own, others)
            for metric, value in (("exposure", bits), ("most_exposure", bits), ("extracted", float(greedy))):
                results.append(Result(metric, item, digest, item, value))
        return results

    return Task(
        name=name,
        items=digests,
        settings={**how(batch_size), "most_exposure": math.log2(SAMPLED + 1)},
        metrics=METRICS,
        evaluate=ask,
    )


def exposure(own: float, others: Sequence[float]) -> float:
    """log2 of how many values there are, less log2 of the rank of the own one; a tie ranks behind."""
    return math.log2(len(others) + 1) - math.log2(1 + sum(other >= own for other in others))
