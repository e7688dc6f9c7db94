"""Tasks that people bring: data alone. What would run code, read from elsewhere or mean nothing is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from forge_dagster.errors import DataError, RecipeError
from forge_dagster.evaluation.own_task import OwnTask, load_own_tasks
from forge_dagster.evaluation.own_tasks import files_of, own_tasks
from forge_dagster.home import PROJECT

CHOICE: dict[str, Any] = {
    "task": "mine",
    "dataset_path": "json",
    "dataset_kwargs": {"data_files": {"test": "evals/mine.jsonl"}},
    "test_split": "test",
    "output_type": "multiple_choice",
    "doc_to_text": "query",
    "doc_to_choice": "choices",
    "doc_to_target": "gold",
    "metric_list": [{"metric": "acc"}],
    "metadata": {"version": 1},
}
REPLY = {
    "output_type": "generate_until",
    "doc_to_choice": None,
    "doc_to_target": "answer",
    "generation_kwargs": {"max_gen_toks": 8},
    "metric_list": [{"metric": "exact_match"}],
}


def written(folder: Path, text: str | dict[str, Any], *items: dict[str, Any]) -> Path:
    """A folder with one task and its items."""
    evals = folder / "evals"
    evals.mkdir(exist_ok=True)
    (evals / "mine.yaml").write_text(text if isinstance(text, str) else yaml.safe_dump(text))
    rows = items or ({"id": "a", "query": "q", "choices": ["x", "y"], "gold": 1, "answer": "y"},)
    (evals / "mine.jsonl").write_text("".join(json.dumps(item) + "\n" for item in rows))
    return evals


def test_the_projects_own_tasks_are_sound():
    found = load_own_tasks(PROJECT / "evals")
    assert {"agreement", "general_knowledge", "general_text"} <= set(found)


@pytest.mark.parametrize("path", sorted((PROJECT / "evals" / "optional").glob("*.yaml")), ids=lambda path: path.stem)
def test_an_optional_task_is_sound_once_its_file_is_there(path: Path, tmp_path: Path):
    evals = tmp_path / "evals"
    evals.mkdir()
    (evals / path.name).write_bytes(path.read_bytes())
    with pytest.raises(RecipeError, match="put the file there"):
        load_own_tasks(evals)
    for name in yaml.safe_load(path.read_text())["dataset_kwargs"]["data_files"].values():
        (tmp_path / name).write_text('{"question": "q", "answer": "a"}\n')
    assert load_own_tasks(evals)[path.stem].task == path.stem


@pytest.mark.parametrize(
    "template",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ query.__class__ }}",
        "{{ query['a'] }}",
        "{{ query() }}",
        "{{ cycler.__init__.__globals__.os }}",
        "{% for x in query %}{{ x }}{% endfor %}",
        "{% set x = query %}",
        "{% import 'os' as os %}",
        "{{ query | attr('x') }}",
        "{{ query | map(attribute='x') }}",
        "{{ _private }}",
        "{{ query + 1 }}",
        "{{ query",
    ],
)
@pytest.mark.parametrize("key", ["doc_to_text", "doc_to_choice", "doc_to_target"])
def test_a_template_that_does_more_than_name_columns_is_refused(tmp_path: Path, key: str, template: str):
    with pytest.raises(RecipeError, match=rf"{key}"):
        load_own_tasks(written(tmp_path, {**CHOICE, key: template}))


@pytest.mark.parametrize("template", ["query", "Q: {{query}}\nA:", "{{ query | trim | lower }}", "{{ [a, 'b'] }}"])
def test_a_template_that_names_columns_is_taken(template: str):
    assert OwnTask.model_validate({**CHOICE, "doc_to_text": template}).doc_to_text == template


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"include": "other.yaml"}, "unknown key"),
        ({"process_docs": "x"}, "unknown key"),
        ({"dataset_path": "openai/gsm8k"}, "dataset_path"),
        ({"dataset_path": "evals/loader.py"}, "dataset_path"),
        ({"dataset_kwargs": {"data_files": {"test": "evals/mine.jsonl"}, "trust_remote_code": True}}, "unknown key"),
        ({"dataset_kwargs": {"data_files": {"test": "https://example.org/a.jsonl"}}}, "example.org"),
        ({"dataset_kwargs": {"data_files": {"test": "evals/mine.csv"}}}, "dataset_path json reads"),
        ({"dataset_kwargs": {"data_files": {"train": "evals/mine.jsonl"}}}, "split 'test' has no file"),
        ({"metric_list": [{"metric": "code_eval"}]}, "metric"),
        ({"metric_list": [{"metric": "exact_match"}]}, "it has acc or acc_norm"),
        ({"metric_list": []}, "metric_list"),
        ({"doc_to_choice": None}, "doc_to_choice goes with"),
        ({"generation_kwargs": {"max_gen_toks": 8}}, "generation_kwargs goes with"),
        ({**REPLY, "generation_kwargs": {"max_gen_toks": 8, "do_sample": True}}, "do_sample"),
        ({**REPLY, "filter_list": [{"name": "n", "filter": [{"function": "custom"}]}]}, "function"),
        ({"num_fewshot": 2}, "num_fewshot goes with fewshot_split"),
        ({"task": "other"}, "the task equals the file name"),
        ({"dataset_kwargs": {"data_files": {"test": "evals/../secret.jsonl"}}}, "put the file there"),
        ({"dataset_kwargs": {"data_files": {"test": "/etc/mine.jsonl"}}}, "put the file there"),
    ],
)
def test_what_is_no_local_data_is_refused(tmp_path: Path, changes: dict[str, Any], words: str):
    (tmp_path / "secret.jsonl").write_text("{}\n")
    with pytest.raises(RecipeError, match=words):
        load_own_tasks(written(tmp_path, {**CHOICE, **changes}))


@pytest.mark.parametrize(
    "tag", ["!function utils.process", "!include x.yaml", "!!python/object/apply:os.system ['true']"]
)
def test_code_named_by_a_yaml_tag_is_refused(tmp_path: Path, tag: str):
    text = yaml.safe_dump(CHOICE).replace("doc_to_text: query", f"doc_to_text: {tag}")
    assert tag in text
    with pytest.raises(RecipeError, match=r"mine\.yaml is not valid YAML"):
        load_own_tasks(written(tmp_path, text))


@pytest.mark.parametrize(
    "item", [{"query": "q", "choices": ["x", "y"], "gold": 2}, {"query": "q", "choices": ["x", "x"], "gold": 0}]
)
def test_an_item_that_cannot_be_answered_is_named(tmp_path: Path, item: dict[str, Any], config_of: Any):
    evals = written(tmp_path, CHOICE, item)
    config = config_of(own_tasks=tuple(load_own_tasks(evals).values()))
    with pytest.raises(DataError, match="task mine, item 1"):
        own_tasks({"evals/mine.jsonl": evals / "mine.jsonl"}, config, tmp_path)


def test_data_that_was_not_frozen_is_not_read(tmp_path: Path):
    with pytest.raises(DataError, match="is not there"):
        files_of(OwnTask.model_validate(CHOICE), {})
