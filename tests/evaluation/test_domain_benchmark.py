"""The benchmark: what each task holds, and every line of facts it refuses."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow.parquet as pq
import pytest

from forge_dagster.errors import DataError
from forge_dagster.evaluation import domain_benchmark
from forge_dagster.evaluation.domain_benchmark import BenchmarkConfig
from forge_dagster.stage import local_context

CONFIG = BenchmarkConfig(seed=1, most_items=12)


def make(inputs: dict[str, Path], folder: Path, config: BenchmarkConfig = CONFIG) -> Path:
    out = folder / "out"
    out.mkdir(parents=True)
    domain_benchmark.run(inputs, config, out, local_context(folder))
    return out


def items(content: Path, task: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (content / "items" / f"{task}.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory, company: SimpleNamespace) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("documents")
    facts = company.write_facts(folder / "facts.jsonl", [company.fact(number) for number in range(20)])
    return {**company.write_documents(folder / "rows"), "facts/plant": facts}


def test_the_answer_of_a_fact_is_its_gold_choice(inputs: dict[str, Path], company: SimpleNamespace, tmp_path: Path):
    content = make(inputs, tmp_path)
    for task, key in (("facts_seen", "seen"), ("facts_unseen", "unseen")):
        found = items(content, task)
        assert [item["query"] for item in found] == [company.fact(number)[key] for number in range(20)]
        assert [item["choices"][item["gold"]] for item in found] == [
            company.fact(number)["answer"] for number in range(20)
        ]
        assert all(len(item["document_ids"]) == 1 for item in found)
    assert all(finding.passed for finding in domain_benchmark.check(content))


def test_next_sentences_come_from_held_out_documents_alone(inputs: dict[str, Path], tmp_path: Path):
    content = make(inputs, tmp_path)
    split = pq.read_table(inputs["document_split"] / "split.parquet").to_pylist()
    held_out = {row["id"] for row in split if row["split"] in ("validation", "test")}
    texts = pq.read_table(inputs["clean_documents/plant"] / "documents.parquet").to_pylist()
    text_of = {row["id"]: row["text"] for row in texts}
    found = items(content, "next_sentence")
    assert len(found) == CONFIG.most_items
    for item in found:
        (owner,) = item["document_ids"]
        assert owner in held_out
        right = item["choices"][item["gold"]]
        assert f"{item['query']} {right}" in " ".join(text_of[owner].split())
        assert len(set(item["choices"])) == 4


def test_it_is_the_same_bytes_every_time(inputs: dict[str, Path], tmp_path: Path):
    first, second = make(inputs, tmp_path / "a"), make(inputs, tmp_path / "b")
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert len(names) == 4
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_without_facts_next_sentence_remains(inputs: dict[str, Path], tmp_path: Path):
    content = make({name: path for name, path in inputs.items() if name != "facts/plant"}, tmp_path)
    assert [task["name"] for task in json.loads((content / "benchmark.json").read_text())["tasks"]] == ["next_sentence"]


def test_no_item_at_all_is_refused(company: SimpleNamespace, tmp_path: Path):
    with pytest.raises(DataError, match="Mend: add documents"):
        make(company.write_documents(tmp_path / "rows", count=1), tmp_path)


BROKEN: dict[str, Callable[[dict[str, Any]], str]] = {
    "no json": lambda good: "no json",
    "empty": lambda good: "",
    "missing key": lambda good: json.dumps({key: value for key, value in good.items() if key != "seen"}),
    "unknown key": lambda good: json.dumps({**good, "another": "key"}),
    "two distractors": lambda good: json.dumps({**good, "distractors": good["distractors"][:2]}),
    "equal distractors": lambda good: json.dumps({**good, "distractors": good["distractors"][:1] * 3}),
    "answer among them": lambda good: json.dumps({**good, "answer": good["distractors"][0]}),
    "no documents": lambda good: json.dumps({**good, "documents": []}),
    "empty question": lambda good: json.dumps({**good, "question": ""}),
    "id twice": lambda good: json.dumps({**good, "id": "f0"}),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_broken_line_is_named(inputs: dict[str, Path], company: SimpleNamespace, tmp_path: Path, broken: str):
    path = tmp_path / "facts.jsonl"
    path.write_text(json.dumps(company.fact(0)) + "\n" + BROKEN[broken](company.fact(1)) + "\n")
    with pytest.raises(DataError, match=r"facts\.jsonl:2: "):
        make({**inputs, "facts/plant": path}, tmp_path)


@pytest.mark.parametrize(("gold", "choices"), [(4, ["a", "b", "c", "d"]), (0, ["a", "a", "c", "d"])])
def test_check_finds_a_broken_item(tmp_path: Path, gold: int, choices: list[str]):
    (tmp_path / "items").mkdir()
    (tmp_path / "items/x.jsonl").write_text(json.dumps({"id": "1", "choices": choices, "gold": gold}) + "\n")
    (tmp_path / "benchmark.json").write_text(json.dumps({"tasks": [{"items": "items/x.jsonl"}]}))
    found = {finding.name: finding.passed for finding in domain_benchmark.check(tmp_path)}
    assert found["items_have_four_choices"] is False


def test_check_finds_an_answer_that_always_comes_first(tmp_path: Path):
    (tmp_path / "items").mkdir()
    line = json.dumps({"id": "1", "choices": ["a", "b", "c", "d"], "gold": 0}) + "\n"
    (tmp_path / "items/x.jsonl").write_text(line * 60)
    (tmp_path / "benchmark.json").write_text(json.dumps({"tasks": [{"items": "items/x.jsonl"}]}))
    found = {finding.name: finding.passed for finding in domain_benchmark.check(tmp_path)}
    assert found["place_of_the_answer_is_balanced"] is False
