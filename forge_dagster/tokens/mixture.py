"""How much of the training comes from which source: declared shares, and a reading order that keeps to them.

Every row of a batch is of one source. Row r goes to the source in whose slice of [0, 1) the r-th point of a golden
ratio sequence lies (Weyl 1916), so after n rows each source has its share within about log(n) rows. Which row of its
own source that is follows from counting earlier points, exactly and without a loop over them: the order stays a pure
function of (seed, step).
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import accumulate
from typing import Any, Protocol, Self

import numpy as np
from pydantic import Field, model_validator

from forge_dagster.errors import DataError
from forge_dagster.source import Name
from forge_dagster.stage import Finding, FrozenModel
from forge_dagster.tokens.order import Order, Span, permutation_start
from forge_dagster.tokens.reader import Documents

TOLERANCE = 0.02
"""Distance between declared and realised share of a source beyond which a training is refused."""
CHECK_NAME = "mixture_is_as_declared"
REPLAYED = "replayed documents"
"""Where a training goes on from a model, the part of the documents that this was trained on."""

CIRCLE = 1 << 64
STRIDE = 0x9E3779B97F4A7C15
"""The golden ratio's fraction of CIRCLE, odd: the points of the sequence never repeat."""


class SourceShare(FrozenModel):
    """One source's part in a training."""

    weight: float = Field(ge=0, allow_inf_nan=False, description="share of the tokens, relative to the other weights")
    epochs: float = Field(gt=0, allow_inf_nan=False, description="most times each of its tokens may be read")


class Mixture(FrozenModel):
    """Shares by source; a source that is not named is not trained on."""

    sources: Mapping[Name, SourceShare] = Field(min_length=1)

    @model_validator(mode="after")
    def weighs_something(self) -> Self:
        if not sum(part.weight for part in self.sources.values()):
            raise ValueError(f"the weights of {', '.join(sorted(self.sources))} sum to 0; give one a weight")
        return self

    def shares(self) -> dict[str, Fraction]:
        """Share of each source, exactly; they sum to 1."""
        weights = {name: Fraction(part.weight) for name, part in sorted(self.sources.items())}
        return {name: weight / sum(weights.values()) for name, weight in weights.items()}


class ReadingOrder(Protocol):
    """What a trainer asks."""

    def batch(self, step: int) -> list[list[Span]]:
        """The spans of each row of step `step` (from 0)."""

    def read(self, rows: int) -> np.ndarray:
        """Tokens of each document in the first `rows` rows."""

    def rows_with(self, document: int, rows: int) -> list[tuple[int, int]]:
        """(row, tokens) of each piece of a document among the first `rows` rows, in order."""


@dataclass(frozen=True, eq=False)
class MixedOrder:
    """The reading order over several sources, each read in an Order of its own."""

    seed: int
    shares: tuple[Fraction, ...]
    members: tuple[np.ndarray, ...]
    """Of each source, the numbers of its documents."""
    orders: tuple[Order, ...]
    rows: int
    documents: int

    @cached_property
    def ends(self) -> list[int]:
        """Where each source's slice of the circle ends."""
        return [int(share * CIRCLE) for share in accumulate(self.shares)]

    @cached_property
    def start(self) -> int:
        return permutation_start(self.seed)

    def batch(self, step: int) -> list[list[Span]]:
        """Return the spans of each row of step `step` (from 0)."""
        return [self.row(step * self.rows + row) for row in range(self.rows)]

    def row(self, row: int) -> list[Span]:
        """Return the spans of row `row` of the stream."""
        part = bisect_right(self.ends, (self.start + row * STRIDE) % CIRCLE)
        spans = self.orders[part].row(self.rows_before(part, row))
        return [span._replace(document=int(self.members[part][span.document])) for span in spans]

    def read(self, rows: int) -> np.ndarray:
        """Tokens of each document in the first `rows` rows; none of a document that is in no source of the mixture."""
        tokens = np.zeros(self.documents, np.int64)
        for part, (members, order) in enumerate(zip(self.members, self.orders, strict=True)):
            tokens[members] = order.read(self.rows_before(part, rows))
        return tokens

    def rows_with(self, document: int, rows: int) -> list[tuple[int, int]]:
        """(row, tokens) of each piece of a document among the first `rows` rows, in order; none if no source has it."""
        for part, members in enumerate(self.members):
            place = int(np.searchsorted(members, document))
            if place < len(members) and members[place] == document:
                pieces = self.orders[part].rows_with(place, self.rows_before(part, rows))
                return [(self._row_of(part, own, rows), tokens) for own, tokens in pieces]
        return []

    def _row_of(self, part: int, own: int, rows: int) -> int:
        """Which of the first `rows` rows is row number `own` of a source."""
        return bisect_right(range(rows + 1), own, key=lambda row: self.rows_before(part, row)) - 1

    def rows_before(self, part: int, row: int) -> int:
        """Rows of source number `part` among the first `row` rows."""
        begin = self.ends[part - 1] if part else 0
        return self._points(row, self.ends[part]) - self._points(row, begin)

    def _points(self, count: int, end: int) -> int:
        """Points among the first `count` that lie in [0, end)."""
        if not end:
            return 0
        return (
            count
            + floor_sum(count, CIRCLE, STRIDE, self.start)
            - floor_sum(count, CIRCLE, STRIDE, self.start - end + CIRCLE)
        )


def floor_sum(count: int, modulus: int, factor: int, offset: int) -> int:
    """Return the sum of (factor * k + offset) // modulus over k = 0 .. count-1, in logarithmic time.

    Counting lattice points under a line by Euclid's algorithm (Graham, Knuth, Patashnik 1994, section 3.5).
    """
    total = 0
    while True:
        total += count * (count - 1) // 2 * (factor // modulus) + count * (offset // modulus)
        factor, offset = factor % modulus, offset % modulus
        top = factor * count + offset
        if top < modulus:
            return total
        count, offset = divmod(top, modulus)
        modulus, factor = factor, modulus


def reading_order(
    documents: Documents, mixture: Mixture | None, *, seed: int, sequence_length: int, rows: int, steps: int
) -> ReadingOrder:
    """Return the order of a training of `steps` steps; without a mixture all documents are read alike.

    Raises DataError if a source of the mixture has no training document, or would be read more often than it says.
    """
    if mixture is None:
        return Order(seed, documents.lengths, sequence_length, rows)
    shares = {name: share for name, share in mixture.shares().items() if share}
    members = tuple(documents.of_source(name) for name in shares)
    empty = [name for name, numbers in zip(shares, members, strict=True) if not len(numbers)]
    if empty:
        raise DataError(
            f"source {', '.join(empty)} of the mixture has no training document",
            rule=f"sources with training documents: {', '.join(documents.sources)}",
            mend="correct the mixture in the recipe, or look why its documents were left out: forge corpus query",
        )
    order = MixedOrder(
        seed=seed,
        shares=tuple(shares.values()),
        members=members,
        orders=tuple(Order(seed, documents.lengths[numbers], sequence_length, rows) for numbers in members),
        rows=rows,
        documents=len(documents.lengths),
    )
    for part, name in enumerate(shares):
        wanted, limit = order.rows_before(part, steps * rows) * sequence_length, mixture.sources[name].epochs
        if wanted > limit * order.orders[part].tokens:
            raise DataError(
                f"source {name}: its share is {wanted:,} tokens, {wanted / order.orders[part].tokens:.2f} times its "
                f"{order.orders[part].tokens:,}",
                rule=f"epochs = {limit}: no token is read more often than that",
                mend="lower its weight or the budget of tokens, or raise epochs",
            )
    return order


def realised(order: ReadingOrder, documents: Documents, mixture: Mixture | None, rows: int) -> dict[str, Any]:
    """Declared and realised share of each source in the first `rows` rows."""
    count = len(documents.sources)
    tokens = np.bincount(documents.source, weights=order.read(rows), minlength=count).astype(np.int64)
    if mixture is None:
        sizes = np.bincount(documents.source, weights=documents.lengths, minlength=count)
        declared = dict(zip(documents.sources, (sizes / sizes.sum()).tolist(), strict=True))
    else:
        declared = {name: float(share) for name, share in mixture.shares().items()}
    read = dict(zip(documents.sources, tokens.tolist(), strict=True))
    return {
        "declared_in_recipe": mixture is not None,
        "sources": {
            name: {
                "declared": round(declared.get(name, 0.0), 6),
                "realised": round(read.get(name, 0) / int(tokens.sum()), 6),
                "tokens": read.get(name, 0),
            }
            for name in sorted({*declared, *read})
        },
    }


def judge(mixture: Mapping[str, Any]) -> Finding:
    """Judge what was realised; binding where the recipe declares shares, and for the share of replayed documents."""
    replayed = {REPLAYED: mixture[REPLAYED]} if REPLAYED in mixture else {}
    apart = {
        name: {"declared": row["declared"], "realised": row["realised"]}
        for name, row in {**mixture["sources"], **replayed}.items()
        if abs(row["declared"] - row["realised"]) > row.get("tolerance", TOLERANCE)
    }
    return Finding(
        name=CHECK_NAME,
        passed=not apart,
        observed={"apart": apart, "tolerance": TOLERANCE},
        blocking=mixture["declared_in_recipe"] or REPLAYED in apart,
    )


def refuse_if_apart(mixture: Mapping[str, Any]) -> None:
    """Raise DataError where `judge` would refuse, before anything is trained."""
    finding = judge(mixture)
    if finding.blocking and not finding.passed:
        raise DataError(
            f"shares of the mixture are not met: {finding.observed['apart']}",
            rule=f"declared and realised share differ by at most {TOLERANCE}",
            mend="train more rows: raise tokens, or lower sequence_length",
        )
