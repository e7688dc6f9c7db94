"""`forge where-used`: every use of a document, each checked against the files themselves."""

import json
from collections import Counter

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from forge_dagster.cli.main import app
from forge_dagster.errors import UserError
from forge_dagster.lineage.find import Finder, How
from forge_dagster.lineage.graph import Node
from forge_dagster.lineage.steps import PreTrainings
from forge_dagster.lineage.where_used import Use, WhereUsed
from forge_dagster.training.order import documents_of_step


def _uses(chain, document: str) -> list[Use]:
    return WhereUsed(*chain.opened()).uses(document)


def _found(chain, asked: str, how: How | None = None):
    return Finder(*chain.opened()).find(asked, how, lambda done, total: None)


def _of(uses: list[Use], kind: str) -> list[Use]:
    return [use for use in uses if use.kind == kind]


def test_steps_are_those_that_the_training_read(chain) -> None:
    graph, index = chain.opened()
    for checkpoint in (node for node in graph.checkpoints if "base" in node.key):
        found = PreTrainings(graph, index).settings(checkpoint)
        assert found is not None
        settings, seed = found
        shards = graph.content(graph.input(checkpoint, "token_shards"))
        read: dict[str, Counter[int]] = {}
        for step in range(settings.steps):
            for row in documents_of_step(shards, settings, seed, step):
                read.setdefault(row["document"], Counter())[step] += row["tokens"]
        names = pq.read_table(shards / "documents.parquet", columns=["document", "split"]).to_pylist()
        trained = {row["document"] for row in names if row["split"] == "train"}
        assert set(read) <= trained
        for document in sorted(trained):
            mine = [use.told["pre_training"] for use in _uses(chain, document) if use.node == checkpoint]
            if document not in read:
                assert not mine
                continue
            assert mine[0]["steps"] == sorted(read[document])
            assert mine[0]["tokens"] == read[document].total()


def test_a_document_is_followed_from_its_bytes_to_the_release(chain) -> None:
    document = chain.id_of(chain.changed, 0)
    uses = _uses(chain, document)
    kinds = Counter(use.kind for use in uses)
    assert {"raw", "clean", "split", "corpus", "shards", "tokenizer", "checkpoint", "release"} <= set(kinds)
    assert _of(uses, "corpus")[0].told["side"] == "train"
    # The changed document is another one: what it was before is in the first release alone.
    assert [use.node for use in _of(uses, "release")] == [chain.releases[0]]
    now = _uses(chain, chain.id_of(chain.changed))
    assert {use.node for use in _of(uses, "raw")}.isdisjoint(use.node for use in _of(now, "raw"))


def test_what_became_part_of_a_release_became_part_of_its_exports(chain) -> None:
    graph, _ = chain.opened()
    exports = {graph.input(export, "release"): export for export in graph.exports}
    assert set(exports) == set(chain.releases)
    (use,) = _of(_uses(chain, chain.id_of(chain.changed, 0)), "export")
    assert (use.node, use.told["release"]) == (exports[chain.releases[0]], str(chain.releases[0]))
    assert use.told["learnt_in"]
    assert not use.told["current"]
    document = chain.id_of(chain.changed)
    used = {use.node: use.told for use in _of(_uses(chain, document), "export")}
    assert used[exports[chain.releases[1]]]["current"]
    tree = CliRunner().invoke(app, ["where-used", document], catch_exceptions=False).stdout
    assert f"export/nano/gguf/f16 of {chain.releases[1]}: learnt from it" in tree


def test_rows_that_train_reach_the_checkpoint_and_held_out_rows_do_not(chain) -> None:
    graph, _ = chain.opened()
    for number, release in enumerate(chain.releases):
        sft = graph.input(release, "checkpoint")
        rows = pq.read_table(graph.content(graph.input(sft, "instructions")) / "rows.parquet").to_pylist()
        uses = _uses(chain, rows[0]["document_ids"][0])
        mine = [use for use in _of(uses, "instructions") if use.node == graph.input(sft, "instructions")]
        assert [use.told["question"] for use in mine] == ["Who 0?", "Who 1?", "Who 2?"]
        told = next(use.told for use in uses if use.node == sft)
        assert told["rows"] == {"instructions": 2}, number
        assert told["epochs"] == 2.0
        assert told["goes_on_from"] == [str(graph.input(sft, "previous"))]


def test_benchmark_items_are_those_that_name_the_document(chain) -> None:
    graph, _ = chain.opened()
    node = graph.of("domain_benchmark")[0]
    items = [
        json.loads(line)
        for file in sorted((graph.content(node) / "items").iterdir())
        for line in file.read_text().splitlines()
    ]
    document = items[0]["document_ids"][0]
    mine = [use.told["item"] for use in _of(_uses(chain, document), "benchmark") if use.node == node]
    assert sorted(mine) == sorted(item["id"] for item in items if document in item["document_ids"])


def test_a_path_means_every_content_that_it_had(chain) -> None:
    found = _found(chain, chain.changed)
    assert {each.document for each in found} == {chain.id_of(chain.changed, 0), chain.id_of(chain.changed, 1)}
    assert _found(chain, f"plant/{chain.changed}") == found
    assert [each.by for each in _found(chain, chain.id_of(chain.removed, 0)[:12])] == ["id"]


def test_a_text_is_found_where_cleaning_replaced_it_and_behind_markup(chain) -> None:
    (jane,) = _found(chain, "Jane.Roe@veldanor.example")
    assert (jane.by, jane.names, jane.in_clean_text) == ("text", ("plant/people/jane.txt",), False)
    (firm,) = _found(chain, "miller & söhne")
    assert (firm.names, firm.in_clean_text) == (("plant/people/firm.html",), True)


@pytest.mark.parametrize(
    ("asked", "how", "said"),
    [
        ("rules.txt", None, "2 documents have this path: plant/north/rules.txt, plant/south/rules.txt"),
        ("no-such-file.md", None, "no document of any version has it"),
        ("ffffffffffff", "id", "no document of any version has it"),
        ("jane.txt", "id", "no document of any version has it"),
        ("a", "text", "no document of any version has it"),
    ],
)
def test_what_means_no_document_or_several_is_refused(chain, asked: str, how: How | None, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        _found(chain, asked, how)
    assert error.value.exit_code == 2


def test_an_empty_store_has_no_document(home) -> None:
    with pytest.raises(UserError, match="no document"):
        CliRunner().invoke(app, ["where-used", "x.md"], catch_exceptions=False)


def test_steps_without_effect_are_told_apart(chain, monkeypatch: pytest.MonkeyPatch) -> None:
    graph, index = chain.opened()
    checkpoint = next(node for node in graph.checkpoints if "base" in node.key)
    training = graph.content(checkpoint) / "training.json"
    told = json.loads(training.read_bytes()) | {"skipped": [3], "rewinds": [{"steps_done": 9, "back_to": 6}]}
    monkeypatch.setattr("json.loads", lambda data, _loads=json.loads: told if b'"rewinds"' in data else _loads(data))
    trainings = PreTrainings(graph, index)
    rows = pq.read_table(graph.content(graph.input(checkpoint, "token_shards")) / "documents.parquet").to_pylist()
    lost = {step for n, row in enumerate(rows) if row["split"] == "train"
            for step in trainings.steps(checkpoint, n, row["length"]).without_effect}  # fmt: skip
    assert lost == {3, 6, 7, 8}


def test_the_command_speaks_to_people_and_to_programs(chain) -> None:
    document = chain.id_of(chain.changed)
    said = CliRunner().invoke(app, ["where-used", document[:16], "--json"], catch_exceptions=False)
    told = json.loads(said.stdout)
    assert [each["document"] for each in told["documents"]] == [document]
    uses = [Use.model_validate(use) for use in told["documents"][0]["uses"]]
    assert [use.node for use in uses] == [use.node for use in _uses(chain, document)]
    tree = CliRunner().invoke(app, ["where-used", document], catch_exceptions=False).stdout
    assert f"id {document}" in tree
    assert "of 60 steps" in tree
    assert str(Node(*chain.releases[1])) in tree
    with pytest.raises(UserError, match="--as name"):
        CliRunner().invoke(app, ["where-used", "x", "--as", "name"], catch_exceptions=False)
