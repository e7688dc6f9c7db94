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
from forge_dagster.evaluation.review import Decision, Review
from forge_dagster.stage import local_context

CONFIG = BenchmarkConfig(seed=1, most_items=12, review=Review())


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
    assert Path("benchmark.json") in names
    assert len(names) == 2 + 2 * len(json.loads((first / "benchmark.json").read_text())["tasks"])
    assert all((first / name).read_bytes() == (second / name).read_bytes() for name in names)


def test_without_facts_the_items_of_documents_remain(inputs: dict[str, Path], tmp_path: Path):
    content = make({name: path for name, path in inputs.items() if name != "facts/plant"}, tmp_path)
    tasks = {task["name"]: task for task in json.loads((content / "benchmark.json").read_text())["tasks"]}
    assert set(tasks) == {"cloze", "next_sentence"}
    assert all(task["n"] == len(items(content, name)) >= 4 for name, task in tasks.items())


def test_every_item_names_its_documents_and_how_hard_it_is(inputs: dict[str, Path], tmp_path: Path):
    content = make(inputs, tmp_path)
    found = [item for _, of_task in domain_benchmark.read_items(content) for item in of_task]
    assert all(item["document_ids"] and 0 <= item["difficulty"] <= 1 for item in found)
    assert len({item["difficulty"] for item in found}) > 1


def test_lm_eval_reads_a_task_of_the_artifact(inputs: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from lm_eval.tasks import TaskManager

    content = make(inputs, tmp_path)
    monkeypatch.chdir(content)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    manager = TaskManager(include_path="tasks", include_defaults=False)
    task = manager.load(["next_sentence"])["tasks"]["next_sentence"]
    (first, *_) = task.test_docs()
    assert task.doc_to_choice(first) == items(content, "next_sentence")[0]["choices"]
    assert task.VERSION == domain_benchmark.VERSION


def test_decisions_of_people_are_applied_and_struck_items_recorded(inputs: dict[str, Path], tmp_path: Path):
    first, second, *_ = items(make(inputs, tmp_path / "before"), "next_sentence")
    review = Review(
        items={
            first["id"]: Decision(decision="strike", reason="two sentences fit"),
            second["id"]: Decision(decision="edit", reason="clearer", query="Now it begins otherwise."),
            "cloze/none": Decision(decision="approve"),
        }
    )
    content = make(inputs, tmp_path / "after", CONFIG.model_copy(update={"review": review}))
    found = {item["id"]: item for item in items(content, "next_sentence")}
    assert first["id"] not in found
    assert found[second["id"]]["query"] == "Now it begins otherwise."
    (struck,) = [json.loads(line) for line in (content / "struck.jsonl").read_text().splitlines()]
    assert (struck["id"], struck["reason"]) == (first["id"], "two sentences fit")
    findings = {finding.name: finding for finding in domain_benchmark.check(content)}
    assert not findings["decisions_are_on_items"].passed
    assert not findings["decisions_are_on_items"].blocking
    assert all(finding.passed for finding in findings.values() if finding.blocking)


def test_facts_whose_answers_are_longer_are_thinned_out_until_nobody_can_guess(
    company: SimpleNamespace, tmp_path: Path
):
    told = [
        company.fact(number, answer=f"the long way to {number}", distractors=["one", "two", "six"])
        for number in range(20)
    ]
    facts = company.write_facts(tmp_path / "facts.jsonl", told)
    content = make({**company.write_documents(tmp_path / "rows"), "facts/plant": facts}, tmp_path)
    tasks = [task["name"] for task, _ in domain_benchmark.read_items(content)]
    assert "facts_seen" not in tasks or len(items(content, "facts_seen")) <= 5
    assert all(finding.passed for finding in domain_benchmark.check(content))


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


def written(folder: Path, *found: dict[str, Any]) -> dict[str, bool]:
    """The verdicts on a benchmark of these items."""
    (folder / "items").mkdir()
    (folder / "items/x.jsonl").write_text("".join(json.dumps(item) + "\n" for item in found))
    task = {"name": "x", "items": "items/x.jsonl", "choices": 4}
    (folder / "benchmark.json").write_text(json.dumps({"tasks": [task], "decisions_on_no_item": []}))
    return {finding.name: finding.passed for finding in domain_benchmark.check(folder)}


GOOD = {"id": "1", "query": "q", "choices": ["a", "b", "c", "d"], "gold": 0, "document_ids": ["d"]}


@pytest.mark.parametrize(
    "changes",
    [{"gold": 4}, {"choices": ["a", "a", "c", "d"]}, {"choices": ["a", "b", "c"]}, {"document_ids": []}],
)
def test_check_finds_a_broken_item(tmp_path: Path, changes: dict[str, Any]):
    assert written(tmp_path, {**GOOD, **changes})["items_are_sound"] is False


def test_check_finds_an_item_that_is_there_twice(tmp_path: Path):
    assert written(tmp_path, GOOD, GOOD)["items_are_sound"] is False


def test_check_finds_an_answer_that_always_comes_first(tmp_path: Path):
    found = written(tmp_path, *({**GOOD, "id": str(number)} for number in range(60)))
    assert found["items_are_sound"] is True
    assert found["place_of_the_answer_is_balanced"] is False


def test_check_finds_answers_that_the_choices_give_away(tmp_path: Path):
    made = [
        {**GOOD, "id": str(number), "choices": ["b" * (place + 1) for place in range(4)], "gold": 3}
        for number in range(60)
    ]
    assert written(tmp_path, *made)["answers_cannot_be_guessed_from_the_choices"] is False
