"""`forge sources-of`: each document with its terms and how often every stage read it."""

import csv
import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from forge_dagster.cli.main import app
from forge_dagster.errors import UserError
from forge_dagster.lineage.sources_of import by_source, sources_of
from forge_dagster.lineage.where_used import WhereUsed


def test_times_and_rows_are_those_that_where_used_says(chain) -> None:
    graph, index = chain.opened()
    for release in chain.releases:
        rows = {row["id"]: row for row in sources_of(graph, index, release).to_pylist()}
        corpus = pq.read_table(graph.content(graph.input(release, "corpus")) / "train.parquet", columns=["id"])
        assert set(rows) == {*corpus["id"].to_pylist(), "f" * 64}
        learnt = graph.learnt(release)
        assert [node.key for node in learnt] == ["nano/base_checkpoint", "nano/sft_checkpoint"]
        for document in corpus["id"].to_pylist():
            told = {use.node: use.told for use in WhereUsed(graph, index).uses(document) if use.node in learnt}
            steps = told.get(learnt[0], {}).get("pre_training", {"times": 0})
            assert rows[document]["base_times"] == pytest.approx(steps["times"])
            assert rows[document]["sft_rows"] == told.get(learnt[1], {}).get("rows", {}).get("instructions", 0)
        assert rows["f" * 64]["sft_rows"] == 1
        assert rows["f" * 64]["source"] == "pairs of people"
        assert sum(row["sft_rows"] for row in rows.values()) == 3


def test_sources_have_their_terms(chain) -> None:
    first, second = (by_source(sources_of(*chain.opened(), release)) for release in chain.releases)
    assert [(row["source"], row["sensitivity"], row["licence"]) for row in first] == [
        ("pairs of people", ["unknown"], ["unknown"]), ("plant", ["public"], ["internal"]),
    ]  # fmt: skip
    assert second[1]["sensitivity"] == ["internal"]


def test_the_command_writes_every_document(chain, tmp_path: Path) -> None:
    for name in ("d.csv", "d.parquet"):
        said = CliRunner().invoke(app, ["sources-of", "nano", "--to", str(tmp_path / name)], catch_exceptions=False)
        assert "plant" in said.stdout
    told = json.loads(CliRunner().invoke(app, ["sources-of", "nano", "--json"], catch_exceptions=False).stdout)
    assert told["digest"] == chain.releases[1].digest
    assert told["label"]["sensitivity"] == "internal"
    assert told["label"]["forced_by"]["sensitivity"]["documents"] == len(told["documents"]) - 1
    with (tmp_path / "d.csv").open() as file:
        written = list(csv.DictReader(file))
    assert [row["id"] for row in written] == [row["id"] for row in told["documents"]]
    assert written[0]["audience"] == "everyone"
    assert pq.read_table(tmp_path / "d.parquet").to_pylist() == told["documents"]


def test_an_export_has_the_documents_of_its_release(chain) -> None:
    told = [
        json.loads(CliRunner().invoke(app, ["sources-of", name, "--json"], catch_exceptions=False).stdout)
        for name in ("nano", "export/nano/gguf/f16")
    ]
    assert told[0] == told[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nobody"], "nobody/release has no current version"), (["nano", "--to", "d.txt"], "ends in .csv or .parquet"),
     (["nano@0000"], "0 versions match")],
)  # fmt: skip
def test_what_names_no_release_is_refused(chain, arguments: list[str], said: str) -> None:
    with pytest.raises(UserError, match=said):
        CliRunner().invoke(app, ["sources-of", *arguments], catch_exceptions=False)
