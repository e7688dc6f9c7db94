"""What KIND and KIND/PRECISION mean, and what is refused before anything is made."""

import pytest

from forge_dagster.errors import UserError
from forge_dagster.export_kinds import Target, export_kind, export_kind_names, require, targets


def test_no_name_means_every_usual_one_that_takes_the_model():
    assert [str(each) for each in targets((), "mistral")] == ["ct2/int8", "gguf/f16", "gguf/q8_0", "onnx/float32"]
    assert {each.kind for each in targets((), "mixtral")} == {"gguf", "onnx"}


def test_a_name_means_its_usual_precisions_or_the_one_it_names():
    assert targets(["gguf", "gguf/q8_0", "gguf/q4_0"], "qwen3_moe") == [
        Target("gguf", "f16"), Target("gguf", "q8_0"), Target("gguf", "q4_0"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "architecture", "said"),
    [
        ("ct2", "mixtral", r"ct2 does not take mixtral\n.*llama, mistral, qwen3\n.*export to gguf or onnx"),
        ("gguf", "bloom", r"gguf does not take bloom\n.*\n.*no kind: none takes it"),
        ("tflite", "mistral", r"export to 'tflite'\n.*ct2, gguf, onnx"),
        ("gguf/q2_k", "mistral", r"export to gguf/q2_k\n.*f16, q8_0, q4_0"),
    ],
)
def test_what_cannot_be_made_is_said_at_once(name: str, architecture: str, said: str):
    with pytest.raises(UserError, match=said):
        targets([name], architecture)


def test_a_library_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch):
    for name in export_kind_names():
        require(name)
    monkeypatch.setattr(export_kind("ct2"), "LIBRARIES", ("ctranslate2", "no_such_library"))
    with pytest.raises(UserError, match=r"export to ct2: no_such_library is not installed"):
        require("ct2")
