"""ONNX: one graph computes what transformers computes, whole or token by token, dense or mixture."""

from collections.abc import Callable
from pathlib import Path

import pytest
from exported_case import Company

from forge_dagster.errors import WeightsError
from forge_dagster.export import Runner, Source
from forge_dagster.exports import onnx
from forge_dagster.model.runner import Transformers


@pytest.mark.parametrize(
    "architecture",
    ["mistral", pytest.param("qwen3", marks=pytest.mark.system), pytest.param("mixtral", marks=pytest.mark.system)],
)
def test_the_graph_is_computed_as_by_transformers(
    company: Company, source: Callable[..., Source], apart: Callable[[Source, Runner], float], architecture: str,
    tmp_path: Path,
):  # fmt: skip
    given = source(architecture)
    onnx.make(given, "float32", tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((company.tokenizer / "tokenizer.json").read_bytes())
    with onnx.opened(tmp_path, 1) as runner:
        assert apart(given, runner) < 0.001
        prompt = [1, *runner.encode("Machine 17 stands")]
        assert runner.greedy(prompt, 12) == Transformers(given.folder).greedy(prompt, 12)


def test_a_window_of_attention_is_refused(source: Callable[..., Source], tmp_path: Path):
    given = source("mistral")
    with pytest.raises(WeightsError, match="sliding_window = 16"):
        onnx.make(given._replace(config={**given.config, "sliding_window": 16}), "float32", tmp_path)
