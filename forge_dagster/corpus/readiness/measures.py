"""What came in, what became of it, and what is left: counted in DuckDB over the documents of every stage."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any

from forge_dagster.corpus.readiness.assessment import (
    Ages,
    Copies,
    Duplication,
    LanguageShare,
    Loss,
    Replaced,
    Sizes,
    SourceState,
    Step,
)
from forge_dagster.corpus.views import fetch

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

STEPS = (
    ("read", "raw_dispositions"),
    ("clean", "clean_dispositions"),
    ("deduplicate", "document_split"),
    ("decontaminate", "corpus_dispositions"),
)
IS_SECRET = "{0} <> upper({0})"  # kinds of personal data are in capitals, as their placeholders are
MOST_CLUSTERS = 5
DETAILED = ("unsupported-format", "language", "quality", "contaminated")  # reasons whose detail is of a few kinds
MOST_DETAILS = 20  # of one reason; anybody can invent extensions
LONGEST_DETAIL = 40  # characters of an extension, a language or a task
STALE_YEARS = 3
DAY = "CASE WHEN substr(time, 1, 4) BETWEEN '1970' AND '2100' THEN try_strptime(substr(time, 1, 10), '%Y-%m-%d') END"
"""The day a document states; one out of all reason is none, or it would make every other document old."""
SENSITIVITIES = ("public", "internal", "confidential")
TERMS = ("owner", "licence", "sensitivity", "legal_basis", "jurisdiction", "permitted_use", "audience", "retention")

PREPARE = """
CREATE TEMP TABLE text_of AS
    SELECT source, path, strlen(text) AS bytes FROM clean_documents;
CREATE TEMP TABLE train_text AS
    SELECT source, path, language, strlen(text) AS bytes FROM train
"""


def prepare(connection: "DuckDBPyConnection") -> None:
    """Read every text once for its size; the other measures join these."""
    connection.execute(PREPARE)


def steps(connection: "DuckDBPyConnection") -> tuple[Step, ...]:
    """The balance of each hop."""
    counted = "".join(
        f", count(*) FILTER (disposition = '{kind}')::BIGINT AS {kind}" for kind in ("kept", "dropped", "quarantined")
    )
    return tuple(
        Step(name=name, **fetch(connection, f"SELECT count(*) AS came{counted} FROM {view}")[0]) for name, view in STEPS
    )


def losses(connection: "DuckDBPyConnection") -> tuple[Loss, ...]:
    """What no step passed on, by reason, with the size of the files and of their text."""
    # A document's side is of one source: of those with the same id and path the split keeps one.
    decided = "SELECT source, path, c.disposition, c.reason FROM corpus_dispositions c JOIN document_split s "
    decided += "USING (id, path) WHERE s.disposition = 'kept'"
    views = {number: f"FROM {view}" for number, (_, view) in enumerate(STEPS[:-1])} | {
        len(STEPS) - 1: f"FROM ({decided})"
    }
    parts = " UNION ALL ".join(
        f"SELECT {number} AS step, source, path, disposition, reason {view} WHERE disposition <> 'kept'"
        for number, view in views.items()
    )
    found = fetch(
        connection,
        f"""
        SELECT step, disposition, split_part(reason, ':', 1) AS reason,
            CASE WHEN split_part(reason, ':', 1) IN {DETAILED}
                THEN substr(reason, length(split_part(reason, ':', 1)) + 2, {LONGEST_DETAIL}) ELSE '' END AS detail,
            count(*) AS documents,
            coalesce(sum(size), 0)::BIGINT AS raw_bytes,
            coalesce(sum(bytes), 0)::BIGINT AS text_bytes
        FROM ({parts}) LEFT JOIN raw_documents USING (source, path) LEFT JOIN text_of USING (source, path)
        GROUP BY ALL ORDER BY step, disposition, reason, documents DESC, detail
        """,
    )
    collapsed = _collapsed([Loss(**{**row, "step": STEPS[row["step"]][0]}) for row in found])
    order = [name for name, _ in STEPS]
    return tuple(sorted(collapsed, key=lambda loss: (order.index(loss.step), -loss.documents)))


def _collapsed(found: list[Loss]) -> Iterator[Loss]:
    """The most frequent details of each reason, and one line for its others."""
    for _, group in groupby(found, lambda loss: (loss.step, loss.disposition, loss.reason)):
        losses = list(group)
        yield from losses[:MOST_DETAILS]
        if rest := losses[MOST_DETAILS:]:
            sums = {
                name: sum(getattr(each, name) for each in rest) for name in ("documents", "raw_bytes", "text_bytes")
            }
            yield rest[0].model_copy(update={"detail": f"{len(rest)} others", **sums})


def sources(connection: "DuckDBPyConnection") -> tuple[SourceState, ...]:
    """Each source with its terms; a source of which nothing was kept has none."""
    entries = {
        row["source"]: row["n"]
        for row in fetch(connection, "SELECT source, count(*) AS n FROM raw_dispositions GROUP BY 1")
    }
    trained = {
        row["source"]: row
        for row in fetch(
            connection, "SELECT source, count(*) AS n, sum(bytes)::BIGINT AS bytes FROM train_text GROUP BY 1"
        )
    }
    terms = ", ".join(f"first({name} ORDER BY path) AS {name}" for name in TERMS)
    kept = {
        row["source"]: row
        for row in fetch(
            connection,
            f"SELECT source, max({DAY})::DATE AS newest, {terms}, "
            f"sum(len(list_filter(redactions, lambda x: {IS_SECRET.format('x.kind')})))::BIGINT AS secrets, "
            "sum(len(redactions))::BIGINT AS replaced FROM clean_documents GROUP BY 1",
        )
    }
    found = []
    for name in sorted(entries):
        row, text = kept.get(name, {}), trained.get(name, {"n": 0, "bytes": 0})
        secrets = row.get("secrets") or 0
        found.append(
            SourceState(
                name=name,
                entries=entries[name],
                train_documents=text["n"],
                train_bytes=text["bytes"],
                newest=_day(row.get("newest")),
                terms={term: _words(row[term]) for term in TERMS if row.get(term) is not None},
                secrets=secrets,
                personal_data=(row.get("replaced") or 0) - secrets,
            )
        )
    return tuple(found)


def sizes(connection: "DuckDBPyConnection") -> Sizes:
    """Lengths of the training documents."""
    head = fetch(
        connection,
        "SELECT min(bytes) AS smallest, quantile_disc(bytes, 0.5) AS median, sum(bytes)::BIGINT AS total, "
        "count(*) AS n, max(bytes) AS largest FROM train_text",
    )[0]
    bins = fetch(
        connection,
        "SELECT floor(log2(greatest(bytes, 1)))::INT AS n, count(*) AS c FROM train_text GROUP BY 1 ORDER BY 1",
    )
    ten = fetch(connection, "SELECT bytes FROM train_text ORDER BY bytes DESC LIMIT 10")
    return Sizes(
        smallest=head["smallest"],
        median=head["median"],
        mean=round(head["total"] / head["n"]),
        largest=head["largest"],
        histogram=tuple((row["n"], row["c"]) for row in bins),
        largest_share=_share(head["largest"], head["total"]),
        top_ten_share=_share(sum(row["bytes"] for row in ten), head["total"]),
    )


def languages(connection: "DuckDBPyConnection") -> tuple[LanguageShare, ...]:
    """Training text by language, the largest first."""
    found = fetch(
        connection,
        "SELECT language, count(*) AS documents, sum(bytes)::BIGINT AS bytes FROM train_text "
        "GROUP BY 1 ORDER BY bytes DESC, language",
    )
    return tuple(LanguageShare(**row) for row in found)


def ages(connection: "DuckDBPyConnection") -> Ages:
    """Years of the kept documents."""
    dated = f"SELECT {DAY}::DATE AS day FROM clean_documents"
    head = fetch(
        connection,
        f"SELECT count(day) AS dated, count(*) - count(day) AS undated, min(day) AS oldest, max(day) AS newest, "
        f"count(*) FILTER (day < (SELECT max(day) FROM ({dated})) - INTERVAL {STALE_YEARS} YEAR) AS old FROM ({dated})",
    )[0]
    years = fetch(
        connection,
        f"SELECT year(day)::INT AS year, count(*) AS n FROM ({dated}) WHERE day IS NOT NULL GROUP BY 1 ORDER BY 1",
    )
    return Ages(
        dated=head["dated"],
        undated=head["undated"],
        oldest=_day(head["oldest"]),
        newest=_day(head["newest"]),
        by_year=tuple((row["year"], row["n"]) for row in years),
        older_than_three_years=head["old"],
    )


def duplication(connection: "DuckDBPyConnection") -> Duplication:
    """What duplicates and older versions are of the clean documents, and the largest clusters."""
    found = {
        row["reason"]: row
        for row in fetch(
            connection,
            "SELECT reason, count(*) AS n, sum(bytes)::BIGINT AS bytes "
            "FROM document_split JOIN text_of USING (source, path) GROUP BY 1",
        )
    }
    clusters = fetch(
        connection,
        """
        SELECT id, source, path, documents FROM document_split JOIN (
            SELECT cluster, count(*) - 1 AS documents FROM document_split GROUP BY 1 HAVING count(*) > 1
            ORDER BY documents DESC, cluster LIMIT $1
        ) USING (cluster) WHERE disposition = 'kept' ORDER BY documents DESC, id
        """,
        MOST_CLUSTERS,
    )
    count = {reason: row["n"] for reason, row in found.items()}
    return Duplication(
        unique=count.get("", 0),
        exact=count.get("exact-duplicate", 0),
        near=count.get("near-duplicate", 0),
        superseded=count.get("superseded", 0),
        unique_bytes=found[""]["bytes"] if "" in found else 0,
        repeated_bytes=sum(row["bytes"] for reason, row in found.items() if reason),
        largest=tuple(Copies(**row) for row in clusters),
    )


def replaced(connection: "DuckDBPyConnection") -> tuple[Replaced, ...]:
    """Spans replaced in the kept documents, by kind."""
    found = fetch(
        connection,
        f"SELECT kind, {IS_SECRET.format('kind')} AS is_secret, count(*) AS spans, "
        "count(DISTINCT (source, path)) AS documents FROM "
        "(SELECT source, path, unnest(redactions).kind AS kind FROM clean_documents) "
        "GROUP BY 1 ORDER BY spans DESC, kind",
    )
    return tuple(Replaced(**row) for row in found)


def strictest(found: Sequence[SourceState]) -> str:
    """The highest sensitivity of the sources: who may read the report that names their documents."""
    known = [source.terms["sensitivity"] for source in found if "sensitivity" in source.terms]
    return max(known, key=SENSITIVITIES.index, default="internal")


def _share(part: int, whole: int) -> float:
    return round(part / max(whole, 1), 4)


def _day(value: Any) -> str | None:
    return None if value is None else value.isoformat()[:10]


def _words(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)
