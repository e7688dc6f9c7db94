"""A task that people bring: the part of lm-eval's task YAML that reads local data and runs no code; `evals/*.yaml`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import jinja2
from jinja2 import nodes
from pydantic import AfterValidator, Field, ValidationError, model_validator

from forge_dagster.errors import RecipeError
from forge_dagster.evaluation.review import FILE as REVIEW
from forge_dagster.source import explain, read_yaml
from forge_dagster.stage import FrozenModel

PLAIN = (nodes.Output, nodes.TemplateData, nodes.Name, nodes.Const, nodes.List, nodes.Filter)
FILTERS = frozenset({"trim", "lower", "upper", "string", "join"})
READERS = {"json": (".json", ".jsonl"), "csv": (".csv",), "parquet": (".parquet",)}


def plain_template(template: str) -> str:
    """A name of a column, or text with `{{column}}`. Raises ValueError on anything that could run."""
    try:
        parsed = jinja2.Environment(autoescape=False).parse(template)
    except jinja2.TemplateSyntaxError as error:
        raise ValueError(f"{template!r} is no template: {error}") from error
    for node in parsed.iter_child_nodes():
        _is_plain(node, template)
    return template


def _is_plain(node: nodes.Node, template: str) -> None:
    unknown = isinstance(node, nodes.Filter) and node.name not in FILTERS
    private = isinstance(node, nodes.Name) and node.name.startswith("_")
    if not isinstance(node, PLAIN) or unknown or private:
        raise ValueError(
            f"{template!r} does more than name columns: {type(node).__name__.lower()}; allowed are {{{{column}}}}, "
            f"constants, lists and the filters {', '.join(sorted(FILTERS))}"
        )
    for child in node.iter_child_nodes():
        _is_plain(child, template)


Template = Annotated[str, Field(min_length=1), AfterValidator(plain_template)]


class DataFiles(FrozenModel):
    """Local files by split, relative to the parent of the folder of tasks."""

    data_files: Mapping[str, str] = Field(min_length=1)


class MetricSpec(FrozenModel):
    """What is made of an item's result."""

    metric: Literal["acc", "acc_norm", "exact_match", "bits_per_byte"]
    aggregation: Literal["mean", "bits_per_byte"] = "mean"
    higher_is_better: bool = True
    ignore_case: bool = False
    ignore_punctuation: bool = False
    regexes_to_ignore: tuple[str, ...] = ()


class FilterStep(FrozenModel):
    """One step from a reply to an answer."""

    function: Literal["regex", "take_first", "remove_whitespace"]
    regex_pattern: str | None = None
    group_select: int | None = None
    fallback: str | None = None


class FilterSpec(FrozenModel):
    """Steps from a reply to an answer."""

    name: str
    filter: list[FilterStep] = Field(min_length=1)


class Generation(FrozenModel):
    """How a reply is generated: greedily."""

    until: tuple[str, ...] = ()
    max_gen_toks: int = Field(ge=1, le=1024)
    do_sample: Literal[False] = False
    temperature: Literal[0] = 0


class Metadata(FrozenModel):
    """Of a task."""

    version: int | float


class OwnTask(FrozenModel):
    """One task; keys are those of lm-eval, of which `include`, `!function`, hub data and code are refused."""

    task: str = Field(pattern=r"^[a-z0-9][a-z0-9_]{0,62}$", description="as the file is called")
    tag: Literal["general", "regression"] | None = Field(
        default=None, description="general: what a model must not forget; regression: what once went wrong"
    )
    dataset_path: Literal["json", "csv", "parquet"]
    dataset_kwargs: DataFiles
    test_split: str
    fewshot_split: str | None = None
    num_fewshot: int = Field(default=0, ge=0, le=64)
    output_type: Literal["multiple_choice", "generate_until", "loglikelihood_rolling"]
    description: str = ""
    doc_to_text: Template | Literal[""]
    doc_to_choice: Template | list[str] | None = None
    doc_to_target: Template | int
    target_delimiter: str = " "
    generation_kwargs: Generation | None = None
    filter_list: Annotated[tuple[FilterSpec, ...], Field(max_length=1)] = ()
    metric_list: Annotated[list[MetricSpec], Field(min_length=1)]
    metadata: Metadata

    @model_validator(mode="after")
    def fits_together(self) -> Self:
        allowed = {
            "multiple_choice": {"acc", "acc_norm"},
            "generate_until": {"exact_match"},
            "loglikelihood_rolling": {"bits_per_byte"},
        }[self.output_type]
        wrong = [each.metric for each in self.metric_list if each.metric not in allowed]
        if wrong:
            raise ValueError(f"metric {wrong[0]!r} of {self.output_type}: it has {' or '.join(sorted(allowed))}")
        if (self.output_type == "multiple_choice") != (self.doc_to_choice is not None):
            raise ValueError("doc_to_choice goes with output_type multiple_choice, and with it alone")
        if (self.output_type == "generate_until") != (self.generation_kwargs is not None):
            raise ValueError("generation_kwargs goes with output_type generate_until, and with it alone")
        splits = [self.test_split, *([self.fewshot_split] if self.fewshot_split else [])]
        if unknown := sorted(set(splits) - set(self.dataset_kwargs.data_files)):
            raise ValueError(f"split {unknown[0]!r} has no file in dataset_kwargs.data_files")
        if (self.num_fewshot > 0) != (self.fewshot_split is not None):
            raise ValueError("num_fewshot goes with fewshot_split: what is shown must not be what is asked")
        for path in self.dataset_kwargs.data_files.values():
            if not path.endswith(READERS[self.dataset_path]) or "://" in path:
                raise ValueError(f"file {path!r}: dataset_path {self.dataset_path} reads {READERS[self.dataset_path]}")
        return self

    def files(self, folder: Path) -> dict[str, Path]:
        """Data files by split. Raises RecipeError if one lies outside the folder of tasks or is not there."""
        found = {}
        for split, name in self.dataset_kwargs.data_files.items():
            path = (folder.parent / name).resolve()
            if not path.is_relative_to(folder.resolve()) or not path.is_file():
                raise RecipeError(
                    f"{folder / self.task}.yaml: data_files.{split} = {name!r}",
                    rule=f"a file in {folder}, named from its parent: {folder.name}/FILE",
                    mend="put the file there; the head of evals/optional/*.yaml says how to get those of known tasks",
                )
            found[split] = path
        return found

    def harness_config(self, files: Mapping[str, Path]) -> dict[str, Any]:
        """What lm-eval takes, with whole paths."""
        config = self.model_dump(mode="json", exclude_none=True, exclude={"tag", "metric_list", "filter_list"})
        config["dataset_kwargs"] = {"data_files": {split: str(path) for split, path in files.items()}}
        config["metric_list"] = [each.model_dump(exclude_defaults=True) | _kept(each) for each in self.metric_list]
        if self.filter_list:
            config["filter_list"] = [each.model_dump(exclude_none=True) for each in self.filter_list]
        return config


def _kept(metric: MetricSpec) -> dict[str, Any]:
    return {name: getattr(metric, name) for name in ("metric", "aggregation", "higher_is_better")}


def load_own_tasks(folder: Path) -> dict[str, OwnTask]:
    """Every `*.yaml` of a folder but review.yaml, by name. Raises RecipeError on a broken rule or a missing file."""
    found = {}
    for path in sorted(folder.glob("*.yaml")):
        if path.name != REVIEW:
            found[path.stem] = _load(path)
    return found


def _load(path: Path) -> OwnTask:
    values = read_yaml(path)  # a safe loader: it knows no `!function`
    try:
        task = OwnTask.model_validate(values)
    except ValidationError as error:
        raise explain(path, error) from error
    if task.task != path.stem:
        raise RecipeError(
            f"{path}: task = {task.task!r}", rule="the task equals the file name", mend=f"rename to {task.task}.yaml"
        )
    task.files(path.parent)
    return task
