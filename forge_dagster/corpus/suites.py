"""Great Expectations suites that judge documents, split and corpus in staging, before anything becomes current."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.corpus.dispositions import KINDS
from forge_dagster.corpus.entry import ERASED
from forge_dagster.corpus.expectations import Rule, validate
from forge_dagster.corpus.formats import formats
from forge_dagster.corpus.parse_worker import LARGEST_TEXT
from forge_dagster.stage import Finding

if TYPE_CHECKING:
    import pandas as pd

MOST_QUARANTINED = 0.5  # of a source; beyond it the parsers are at fault, or the source is not what it says
SIDES = ("train", "validation", "test")


@dataclass(frozen=True)
class Suite:
    """The rules of one hop: tables made from the staged content, and what is expected of each."""

    tables: Callable[[Path], dict[str, "pd.DataFrame"]]
    rules: dict[str, list[Rule]]

    @property
    def names(self) -> tuple[str, ...]:
        """Every finding this suite gives."""
        return tuple(rule.name for rules in self.rules.values() for rule in rules)

    def check(self, content: Path) -> list[Finding]:
        """Validate the staged content."""
        tables = self.tables(content)
        return [finding for name, rules in self.rules.items() for finding in validate(tables[name], rules)]


def _frame(path: Path, columns: list[str], lengths_of: str | None = None) -> "pd.DataFrame":
    """Columns of a Parquet file; a text column comes as its length, so that little is held; null becomes "" or 0.

    Great Expectations passes over nulls, so a missing value has to be one that breaks the rules.
    """
    table = pq.read_table(path, columns=columns)
    if lengths_of:
        file = pq.ParquetFile(path)
        pieces = [
            pc.fill_null(pc.utf8_length(batch.column(0)), 0)
            for batch in file.iter_batches(batch_size=1024, columns=[lengths_of])
        ]
        table = table.append_column("length", pa.chunked_array(pieces, pa.int32()))
    for number, field in enumerate(table.schema):
        if field.type == pa.string():
            table = table.set_column(number, field.name, pc.fill_null(table[field.name], ""))
    return table.to_pandas()


def _balance(dispositions: "pd.DataFrame", **sizes: int) -> "pd.DataFrame":
    """One line: how many documents are kept by the dispositions, how many are there."""
    import pandas as pd

    kept = int((dispositions["disposition"] == "kept").sum())
    return pd.DataFrame({"kept": [kept], "there": [sum(sizes.values())]})


def _raw_tables(content: Path) -> dict[str, "pd.DataFrame"]:
    documents = _frame(content / "documents.parquet", ["id"])
    dispositions = _frame(content / "dispositions.parquet", ["path", "disposition"])
    return {
        "documents": documents,
        "dispositions": dispositions,
        "balance": _balance(dispositions, documents=len(documents)),
    }


def _clean_tables(content: Path) -> dict[str, "pd.DataFrame"]:
    import pandas as pd

    documents = _frame(content / "documents.parquet", ["id", "format"], lengths_of="text")
    dispositions = _frame(content / "dispositions.parquet", ["path", "disposition"])
    quarantined = float((dispositions["disposition"] == "quarantined").mean()) if len(dispositions) else 0.0
    return {
        "documents": documents,
        "dispositions": dispositions,
        "faults": pd.DataFrame({"share": [quarantined]}),
        "balance": _balance(dispositions, documents=len(documents)),
    }


def _split_tables(content: Path) -> dict[str, "pd.DataFrame"]:
    import pandas as pd

    split = _frame(content / "split.parquet", ["id", "cluster", "split", "disposition", "reason"])
    kept = split[split["disposition"] == "kept"]
    there = split[split["reason"] != ERASED]  # of an erased cluster nothing is kept
    clusters = pd.DataFrame({"kept": (there["disposition"] == "kept").groupby(there["cluster"]).sum()})
    sides = pd.DataFrame({"sides": kept.groupby("cluster")["split"].nunique()})
    present = pd.DataFrame({"split": sorted(set(kept["split"]))})
    return {"split": split, "kept": kept, "clusters": clusters, "cluster_sides": sides, "present": present}


def _corpus_tables(content: Path) -> dict[str, "pd.DataFrame"]:
    import pandas as pd

    texts = {side: _frame(content / f"{side}.parquet", ["id"], lengths_of="text") for side in SIDES}
    dispositions = _frame(content / "dispositions.parquet", ["path", "disposition"])
    every = pd.concat([table.assign(side=side) for side, table in texts.items()])
    return {
        "train": texts["train"],
        "validation": texts["validation"],
        "every": every,
        "sides_of": pd.DataFrame({"sides": every.groupby("id")["side"].nunique()}),
        "dispositions": dispositions,
        "balance": _balance(dispositions, **{side: len(table) for side, table in texts.items()}),
    }


def _dispositions(name: str) -> Rule:
    return Rule(name, "ExpectColumnValuesToBeInSet", {"column": "disposition", "value_set": list(KINDS)})


def _some(name: str) -> Rule:
    return Rule(name, "ExpectTableRowCountToBeBetween", {"min_value": 1})


def _one_each(name: str, column: str) -> Rule:
    return Rule(name, "ExpectColumnValuesToBeBetween", {"column": column, "min_value": 1, "max_value": 1})


_ID = Rule("ids_are_sha256", "ExpectColumnValuesToMatchRegex", {"column": "id", "regex": "^[0-9a-f]{64}$"})
_LENGTH = {"column": "length", "min_value": 1, "max_value": LARGEST_TEXT}
_TEXT = Rule("texts_are_not_empty", "ExpectColumnValuesToBeBetween", _LENGTH)
_PATHS = Rule("paths_are_unique", "ExpectColumnValuesToBeUnique", {"column": "path"})
_FORMATS = Rule(
    "formats_are_known", "ExpectColumnValuesToBeInSet", {"column": "format", "value_set": sorted(formats())}
)
_ADDS_UP = Rule("counts_reconcile", "ExpectColumnPairValuesToBeEqual", {"column_A": "kept", "column_B": "there"})
_SIDED = Rule(
    "kept_documents_have_a_side", "ExpectColumnValuesToBeInSet", {"column": "split", "value_set": list(SIDES)}
)

judge_raw_documents = Suite(
    _raw_tables,
    {
        "documents": [_some("there_are_documents"), _ID],
        "dispositions": [_dispositions("every_file_has_a_disposition"), _PATHS],
        "balance": [_ADDS_UP],
    },
)
judge_clean_documents = Suite(
    _clean_tables,
    {
        "documents": [_some("there_are_documents"), _ID, _TEXT, _FORMATS],
        "dispositions": [_dispositions("every_document_has_a_disposition"), _PATHS],
        "faults": [
            Rule(
                "most_documents_are_readable",
                "ExpectColumnValuesToBeBetween",
                {"column": "share", "min_value": 0, "max_value": MOST_QUARANTINED},
            )
        ],
        "balance": [_ADDS_UP],
    },
)
judge_split = Suite(
    _split_tables,
    {
        "split": [_ID, _dispositions("every_document_has_a_disposition")],
        "kept": [_SIDED],
        "clusters": [_one_each("one_document_of_a_cluster_is_kept", "kept")],
        "cluster_sides": [_one_each("no_cluster_is_on_two_sides", "sides")],
        "present": [
            Rule(
                "every_side_has_documents",
                "ExpectColumnDistinctValuesToContainSet",
                {"column": "split", "value_set": list(SIDES)},
            )
        ],
    },
)
judge_corpus = Suite(
    _corpus_tables,
    {
        "train": [_some("there_is_training_text")],
        "validation": [_some("there_is_validation_text")],
        "every": [_ID, _TEXT],
        "sides_of": [_one_each("no_document_is_on_two_sides", "sides")],
        "dispositions": [_dispositions("every_document_has_a_disposition")],
        "balance": [_ADDS_UP],
    },
)
