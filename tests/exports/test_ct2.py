"""CTranslate2 computes what transformers computes, and says the same."""

from collections.abc import Callable
from pathlib import Path

import pytest
from exported_case import Company

from forge_dagster.export import Runner, Source
from forge_dagster.exports import ct2
from forge_dagster.model.runner import Transformers


@pytest.mark.parametrize("architecture", ["mistral", "qwen3"])
def test_the_weights_are_computed_as_by_transformers(
    company: Company, source: Callable[..., Source], apart: Callable[[Source, Runner], float], architecture: str,
    tmp_path: Path,
):  # fmt: skip
    given = source(architecture)
    out = tmp_path / "out"  # the converter clears it
    ct2.make(given, "float32", out)
    (out / "tokenizer.json").write_bytes((company.tokenizer / "tokenizer.json").read_bytes())
    with ct2.opened(out, 1) as runner:
        assert apart(given, runner) < 0.001
        prompt = [1, *runner.encode("Machine 17 stands")]
        assert runner.greedy(prompt, 12) == Transformers(given.folder).greedy(prompt, 12)
