"""Pairs by a model: passages are shown to it as data; its replies are kept, judged by their passage, and counted.

A pair becomes a row if the passage supports it and the model, asked its own question, answers alike (round-trip
consistency, Alberti et al. 2019).
"""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from forge_dagster.corpus.decontaminate import Forbidden, forbid_benchmark, forbid_items
from forge_dagster.corpus.words import words
from forge_dagster.errors import InterruptedRun, SourceError
from forge_dagster.pair_source import Generator
from forge_dagster.pairs.asking import Unanswered, Writer
from forge_dagster.pairs.found import READ
from forge_dagster.pairs.passages import Passage, asked_back, messages, passages
from forge_dagster.pairs.replies import Replies
from forge_dagster.pairs.schema import schema_of, schema_of_answer
from forge_dagster.pairs.support import confirmed, judged, reply_of
from forge_dagster.provenance.canonical import fingerprint
from forge_dagster.stage import Finding, FrozenModel, Report, Stage, StageContext

ROWS = pa.schema(
    [(name, pa.string()) for name in ("question", "answer", "quote", "document_id", "generator", "prompt_digest")]
)
REJECTED = pa.schema([(name, pa.string()) for name in ("document_id", "prompt_digest", "reason", "question")])
"""A passage without a usable reply, or a pair that became no row; `question` is empty for a passage."""
Prompt = tuple[list[dict[str, str]], dict[str, Any]]
"""A conversation, and the schema of its reply."""
PAUSE, LONGEST_PAUSE = 0.2, 8.0  # seconds before the second try, and at most; doubled with every try
STOPPED = "asking the model stopped"


class GenerateConfig(FrozenModel):
    """Which model is asked, and where it is."""

    source: Generator
    location: str


def run(inputs: Mapping[str, Path], config: GenerateConfig, out: Path, context: StageContext) -> Report:
    """Write rows.parquet and rejected.parquet; every reply is kept in the cache as it comes, by its prompt's digest.

    Raises SourceError if the model cannot be reached; the same command goes on with the passage it stood at.
    """
    source = config.source
    shown, counts = _passages(inputs["corpus"], source)
    counts["passages"] = len(shown)
    writer = _writer(config)
    identity = fingerprint(
        {
            "kind": source.kind,
            "model": writer.identity(),
            "prompt": [*messages(Passage("", ""), pairs=source.pairs), *asked_back("", "")],
            **source.model_dump(include={"seed", "temperature", "max_tokens"}),
        }
    )
    rejected: list[dict[str, str]] = []
    candidates: list[dict[str, str]] = []
    failures = 0
    with Replies(context.cache) as replies:

        def reply(prompt: Prompt) -> str:
            digest = _digest(identity, prompt)
            return replies.of(digest) or replies.keep(digest, _asked(writer, prompt, source, context))

        for number, passage in enumerate(shown, start=1):
            prompt = messages(passage, pairs=source.pairs), schema_of(passage.text, source.pairs)
            at = {"document_id": passage.document_id, "prompt_digest": _digest(identity, prompt)}
            try:
                found, failures = list(_pairs(reply(prompt), passage, source, reply)), 0
            except Unanswered as error:
                failures += error.again
                rejected.append({**at, "reason": f"unanswered:{error.reason}", "question": ""})
                if failures >= source.failures_in_a_row:
                    raise SourceError(
                        f"{source.name}: {failures} passages in a row without a reply ({error.reason})",
                        rule=f"each is tried {source.attempts} times; {number - failures} of {len(shown)} done",
                        mend="look after the server; the same command goes on where this one stopped",
                    ) from error
                continue
            for row, reason in found:
                if reason:
                    rejected.append({**at, "reason": reason, "question": row.get("question", "")})
                else:
                    candidates.append({**row, **at, "generator": identity})
            context.progress(number, len(shown), f"{len(candidates)} pairs")
    rows = list(_new(candidates, _forbidden(inputs), rejected))
    _write(rows, rejected, out)
    counts.update(_reason(row["reason"]) for row in rejected)
    return Report(counts={"rows": len(rows), "rejected": len(rejected), **dict(sorted(counts.items()))})


def _reason(reason: str) -> str:
    return f"rejected/{reason}"


def _passages(corpus: Path, source: Generator) -> tuple[list[Passage], Counter[str]]:
    batches = pq.ParquetFile(corpus / "train.parquet").iter_batches(batch_size=READ, columns=["id", "text"])
    documents = (row for batch in batches for row in batch.to_pylist())
    return passages(documents, seed=source.seed, most=source.passages, longest=source.passage_characters)


def _writer(config: GenerateConfig) -> Writer:
    if config.source.kind == "checkpoint":
        from forge_dagster.pairs.checkpoint import Checkpoint

        return Checkpoint(Path(config.location), config.source)
    from forge_dagster.pairs.endpoint import Endpoint

    return Endpoint(config.location, config.source)


def _asked(writer: Writer, prompt: Prompt, source: Generator, context: StageContext) -> str:
    """The reply, after as many tries as are allowed. Raises Unanswered with why the last one failed."""
    for attempt in range(1, source.attempts + 1):
        if context.cancelled():
            raise InterruptedRun(STOPPED, mend="run the same command again")
        try:
            return writer.ask(*prompt)
        except Unanswered as error:
            if not error.again or attempt == source.attempts:
                raise
            time.sleep(min(PAUSE * 2 ** (attempt - 1), LONGEST_PAUSE))
    raise AssertionError("attempts is at least 1")


def _digest(identity: str, prompt: Prompt) -> str:
    return fingerprint({"generator": identity, "messages": prompt[0], "schema": prompt[1]})


def _pairs(
    text: str, passage: Passage, source: Generator, reply: Callable[[Prompt], str]
) -> Iterator[tuple[dict[str, str], str]]:
    """Each pair of a reply with why it becomes no row. One that is supported is put to the model once more."""
    said = reply_of(text)
    if said is None:
        yield {}, "not-in-the-schema"
    elif not said.pairs:
        yield {}, "no-pair"
    else:
        for pair, reason in judged(said, passage.text, source.pairs):
            back = asked_back(pair.quote, pair.question), schema_of_answer(pair.quote)
            held = reason or confirmed(reply(back), pair.answer)
            yield pair.model_dump(), reason or ("" if held else "not-confirmed")


def _forbidden(inputs: Mapping[str, Path]) -> Forbidden:
    forbidden = Forbidden()
    forbid_benchmark(forbidden, inputs["domain_benchmark"])
    for name, file in inputs.items():
        if name.startswith("evals/"):
            forbid_items(forbidden, file, file.stem)
    return forbidden


def _new(
    candidates: list[dict[str, str]], forbidden: Forbidden, rejected: list[dict[str, str]]
) -> Iterator[dict[str, str]]:
    """Rows in order of their questions, each asked once, none of a benchmark."""
    seen: set[str] = set()
    for row in sorted(candidates, key=lambda row: (row["question"], row["prompt_digest"])):
        key = " ".join(words(row["question"]))
        task = forbidden.found_in(f"{row['question']} {row['answer']}")
        reason = "duplicate" if key in seen else f"contaminated:{task}" if task else ""
        seen.add(key)
        if reason:
            rejected.append({**{name: row[name] for name in REJECTED.names if name != "reason"}, "reason": reason})
        else:
            yield row


def _write(rows: list[dict[str, str]], rejected: list[dict[str, str]], out: Path) -> None:
    pq.write_table(pa.Table.from_pylist(rows, ROWS), out / "rows.parquet", compression="zstd")
    pq.write_table(pa.Table.from_pylist(rejected, REJECTED), out / "rejected.parquet", compression="zstd")


def check(content: Path) -> list[Finding]:
    """Questions are unique, and every row says which document, prompt and model it is from."""
    rows = pq.read_table(content / "rows.parquet").to_pylist()
    questions = {" ".join(words(row["question"])) for row in rows}
    orphans = sum(not all(row.values()) for row in rows)
    return [
        Finding(name="questions_are_unique", passed=len(questions) == len(rows), observed={"rows": len(rows)}),
        Finding(name="rows_name_their_origin", passed=not orphans, observed={"without": orphans}),
    ]


STAGE = Stage(
    run=run, check=check, check_names=("questions_are_unique", "rows_name_their_origin"), computes_floats=True
)
