"""Rights travel with the weights: the label of a corpus is the join of its documents' terms, and limits refuse one."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.errors import VerdictError
from forge_dagster.recipe import Limits
from forge_dagster.source import SENSITIVITIES, UNKNOWN
from forge_dagster.stage import FrozenModel

EVERYONE = "everyone"
COLUMNS = (
    "id", "source", "path", "sensitivity", "licence", "audience", "permitted_use", "jurisdiction", "retention",
)  # fmt: skip
MOST_NAMED = 5


class Forced(FrozenModel):
    """The documents that force one part of a label: how many, of which sources, and the first of them."""

    documents: int
    sources: tuple[str, ...]
    first: tuple[str, ...]


class Label(FrozenModel):
    """Terms of what was made from documents: the strictest of each of theirs.

    `audience` and `permitted_use` hold what every document allows; `jurisdictions` every law that one is under;
    `retention` is the first day on which one lapses.
    """

    sensitivity: str
    licences: tuple[str, ...]
    audience: tuple[str, ...]
    permitted_use: tuple[str, ...]
    jurisdictions: tuple[str, ...]
    retention: str | None
    forced_by: Mapping[str, Forced]


def learnt_from(corpora: Sequence[Path], columns: Sequence[str] = COLUMNS) -> pa.Table:
    """Every training document of a model, once each: of its corpus, and of those learnt before that one.

    All of them count, whatever the model read: its tokenizer counted every document.
    """
    tables = [with_terms(corpus / "train.parquet", columns) for corpus in corpora]
    known = tables[0]
    for table in tables[1:]:
        gone = pc.invert(pc.is_in(table["id"], value_set=known["id"].combine_chunks()))
        known = pa.concat_tables([known, table.filter(gone).select(known.column_names)])
    return known


def with_terms(path: Path, columns: Sequence[str]) -> pa.Table:
    """These columns of a table of documents; one of before there were jurisdictions says `unknown`."""
    there = pq.read_schema(path).names
    table = pq.read_table(path, columns=[name for name in columns if name in there])
    if "jurisdiction" in columns and "jurisdiction" not in there:
        table = table.append_column("jurisdiction", pa.array([UNKNOWN] * len(table)))
    return table


def joined(documents: pa.Table) -> Label:
    """Join the terms of documents; unknown terms count as given: the source's file says them."""
    sensitivity = max(pc.unique(documents["sensitivity"]).to_pylist(), key=SENSITIVITIES.index)
    audiences, uses = _sets(documents["audience"]), _sets(documents["permitted_use"])
    limited = [each for each in audiences if EVERYONE not in each]
    days = sorted(day for day in pc.unique(documents["retention"]).to_pylist() if day)
    forced = {"sensitivity": _forced(documents, pc.equal(documents["sensitivity"], sensitivity))}
    if limited:
        narrow = [EVERYONE not in each for each in _each(documents["audience"])]
        forced["audience"] = _forced(documents, pa.array(narrow))
    if days:
        forced["retention"] = _forced(documents, pc.equal(documents["retention"], days[0]))
    return Label(
        sensitivity=sensitivity,
        licences=tuple(sorted(pc.unique(documents["licence"]).to_pylist())),
        audience=tuple(sorted(_shared(limited))) if limited else (EVERYONE,),
        permitted_use=tuple(sorted(_shared(uses))),
        jurisdictions=tuple(sorted(pc.unique(documents["jurisdiction"]).to_pylist())),
        retention=days[0] if days else None,
        forced_by=forced,
    )


def refuse_above(documents: pa.Table, limits: Limits) -> None:
    """Raise VerdictError naming the documents whose terms are above the limits of a recipe."""
    above = {
        f"sensitivity above {limits.sensitivity}": [
            SENSITIVITIES.index(each) > SENSITIVITIES.index(limits.sensitivity)
            for each in documents["sensitivity"].to_pylist()
        ],
        f"a licence other than {', '.join(limits.licences)}": [
            bool(limits.licences) and each not in limits.licences for each in documents["licence"].to_pylist()
        ],
        f"an audience without {', '.join(limits.audience)}": [
            EVERYONE not in each and not set(limits.audience) <= each for each in _each(documents["audience"])
        ],
        f"a law other than that of {', '.join(limits.jurisdictions)}": [
            bool(limits.jurisdictions) and each not in limits.jurisdictions
            for each in documents["jurisdiction"].to_pylist()
        ],
    }
    found = {why: _forced(documents, pa.array(which)) for why, which in above.items() if any(which)}
    if found:
        raise VerdictError(
            "; ".join(
                f"{why}: {each.documents:,} documents of {', '.join(each.sources)} ({', '.join(each.first)})"
                for why, each in found.items()
            ),
            rule="what is trained on documents has their terms, and these are above the `limits` of the recipe",
            mend="leave the sources out of the corpus, correct their terms, or raise `limits` in the recipe",
        )


def refuse_mixture(inputs: Mapping[str, Path], limits: Limits | None) -> None:
    """Refuse to begin a training whose corpus is above the limits: a release of it would be refused after all that.

    The tokenizer has counted every document, so a source that a mixture gives no share counts too.
    """
    if limits is not None:
        refuse_above(learnt_from([inputs["corpus"]]), limits)


def _each(column: pa.ChunkedArray) -> list[set[str]]:
    return [set(value or ()) for value in column.to_pylist()]


def _sets(column: pa.ChunkedArray) -> list[set[str]]:
    """The different sets of a column of lists."""
    return [set(each) for each in {frozenset(each) for each in _each(column)}]


def _shared(sets: list[set[str]]) -> set[str]:
    return set.intersection(*sets) if sets else set()


def _forced(documents: pa.Table, which: Any) -> Forced:
    rows = documents.select(["source", "path"]).filter(which)
    first = rows.slice(0, MOST_NAMED).to_pylist()
    return Forced(
        documents=len(rows),
        sources=tuple(sorted(pc.unique(rows["source"]).to_pylist())),
        first=tuple(f"{row['source']}/{row['path']}" for row in first),
    )
