"""Great Expectations suites that judge documents, split and corpus in staging, before anything becomes current."""

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from forge_dagster.corpus.dispositions import KINDS
from forge_dagster.stage import Finding

if TYPE_CHECKING:
    import pandas as pd

HEX = r"^[0-9a-f]{64}$"
Rule = tuple[str, str, dict[str, Any]]
"""Name of the finding, class of the expectation, its arguments."""


@dataclass(frozen=True)
class Suite:
    """The rules of one hop: tables made from the staged content, and what is expected of each."""

    tables: Callable[[Path], dict[str, "pd.DataFrame"]]
    rules: dict[str, list[Rule]]

    @property
    def names(self) -> tuple[str, ...]:
        """Every finding this suite gives."""
        return tuple(name for rules in self.rules.values() for name, _, _ in rules)

    def check(self, content: Path) -> list[Finding]:
        """Validate the staged content."""
        tables = self.tables(content)
        return [finding for name, rules in self.rules.items() for finding in validate(tables[name], rules)]


def validate(table: "pd.DataFrame", rules: list[Rule]) -> list[Finding]:
    """Judge one table by Great Expectations. Raises RuntimeError if an expectation could not be evaluated."""
    os.environ["GX_ANALYTICS_ENABLED"] = "False"
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the library's own dependencies
        context = gx.get_context(mode="ephemeral")
        context.variables.progress_bars = ProgressBarsConfig(globally=False)
        batch = context.data_sources.add_pandas("staging").add_dataframe_asset("table")
        suite = gx.ExpectationSuite("rules")
        for name, kind, arguments in rules:
            suite.add_expectation(getattr(gx.expectations, kind)(**arguments, meta={"name": name}))
        definition = batch.add_batch_definition_whole_dataframe("whole")
        results = definition.get_batch({"dataframe": table}).validate(suite).results
    by_name = {result.expectation_config.meta["name"]: result for result in results if result.expectation_config}
    findings = []
    for name, _, _ in rules:
        result = by_name[name]
        if result.exception_info.get("raised_exception"):
            raise RuntimeError(f"{name}: {result.exception_info}")
        observed = {
            key: value if isinstance(value, (int, float, str)) else str(value)
            for key, value in result.result.items()
            if key in ("observed_value", "element_count", "unexpected_count", "partial_unexpected_list")
        }
        findings.append(Finding(name=name, passed=bool(result.success), observed=observed))
    return findings


def _frame(path: Path, columns: list[str], lengths_of: str | None = None) -> "pd.DataFrame":
    """Columns of a Parquet file; a text column comes as its length, so that no text is held."""
    table = pq.read_table(path, columns=columns + ([lengths_of] if lengths_of else []))
    if lengths_of:
        lengths = pc.utf8_length(table[lengths_of])
        table = table.drop_columns([lengths_of]).append_column("length", lengths)
    return table.to_pandas()


def _dispositions(name: str) -> list[Rule]:
    return [(name, "ExpectColumnValuesToBeInSet", {"column": "disposition", "value_set": list(KINDS)})]


def _raw_tables(content: Path) -> dict[str, "pd.DataFrame"]:
    return {
        "documents": _frame(content / "documents.parquet", ["id", "path", "size"]),
        "dispositions": _frame(content / "dispositions.parquet", ["path", "disposition"]),
    }


def _clean_tables(content: Path) -> dict[str, "pd.DataFrame"]:
    return {
        "documents": _frame(content / "documents.parquet", ["id", "path", "format"], lengths_of="text"),
        "dispositions": _frame(content / "dispositions.parquet", ["path", "disposition"]),
    }


def _split_tables(content: Path) -> dict[str, "pd.DataFrame"]:
    import pandas as pd

    split = _frame(content / "split.parquet", ["id", "source", "path", "cluster", "split", "disposition"])
    kept = split[split["disposition"] == "kept"]
    sides = kept.groupby("cluster")["split"].nunique()
    return {"split": split, "kept": kept, "clusters": pd.DataFrame({"sides": sides})}


def _corpus_tables(content: Path) -> dict[str, "pd.DataFrame"]:
    return {
        "train": _frame(content / "train.parquet", ["id", "source", "path"], lengths_of="text"),
        "validation": _frame(content / "validation.parquet", ["id"], lengths_of="text"),
        "dispositions": _frame(content / "dispositions.parquet", ["path", "disposition"]),
    }


_ID: Rule = ("ids_are_sha256", "ExpectColumnValuesToMatchRegex", {"column": "id", "regex": HEX})
_TEXT: Rule = ("texts_are_not_empty", "ExpectColumnValuesToBeBetween", {"column": "length", "min_value": 1})
_ONE: Rule = ("paths_are_unique", "ExpectColumnValuesToBeUnique", {"column": "path"})
_SOME: Rule = ("there_are_documents", "ExpectTableRowCountToBeBetween", {"min_value": 1})
_FORMATS = {"column": "format", "value_set": ["txt", "md", "html", "pdf"]}
_SIDES = {"column": "split", "value_set": ["train", "validation", "test"]}

judge_raw_documents = Suite(
    _raw_tables, {"documents": [_SOME, _ID, _ONE], "dispositions": _dispositions("every_file_has_a_disposition")}
)
judge_clean_documents = Suite(
    _clean_tables,
    {
        "documents": [_SOME, _ID, _TEXT, _ONE, ("formats_are_known", "ExpectColumnValuesToBeInSet", _FORMATS)],
        "dispositions": _dispositions("every_document_has_a_disposition"),
    },
)
judge_split = Suite(
    _split_tables,
    {
        "split": [_ID, *_dispositions("every_document_has_a_disposition")],
        "kept": [("kept_documents_have_a_side", "ExpectColumnValuesToBeInSet", _SIDES)],
        "clusters": [("no_cluster_is_on_two_sides", "ExpectColumnMaxToBeBetween", {"column": "sides", "max_value": 1})],
    },
)
judge_corpus = Suite(
    _corpus_tables,
    {
        "train": [_SOME, _ID, _TEXT],
        "validation": [("there_is_validation_text", "ExpectTableRowCountToBeBetween", {"min_value": 1})],
        "dispositions": _dispositions("every_document_has_a_disposition"),
    },
)
