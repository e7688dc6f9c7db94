"""Open weights: the same model comes out of a folder and of a GGUF file, and nothing unsafe gets in."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from forge_dagster.errors import IntegrityError, WeightsError
from forge_dagster.model import weights
from forge_dagster.model.folder import load_model
from forge_dagster.model.scan import ARCHITECTURES
from forge_dagster.model.weights_config import WeightsConfig, digest_of
from forge_dagster.provenance.files import sha256_file
from forge_dagster.stage import local_context
from forge_dagster.tokens.adopt import adopt

CONFIG = WeightsConfig(origin="https://example.org/model", licence="MIT")


def take(source: Path, folder: Path) -> Path:
    out = folder / "out"
    out.mkdir(parents=True)
    weights.run({"weights": source}, CONFIG, out, local_context(folder / "context"))
    return out


def test_a_folder_is_converted_and_described(published: Path, tmp_path: Path) -> None:
    out = take(published, tmp_path)
    assert {path.name for path in out.iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "weights.json",
    }  # fmt: skip
    told = json.loads((out / "weights.json").read_text())
    assert (told["origin"], told["licence"], told["architecture"]) == (CONFIG.origin, "MIT", "llama")
    assert told["files"]["model.safetensors"]["sha256"] == sha256_file(published / "model.safetensors")
    assert set(told["files"]) == {path.name for path in published.iterdir()}
    assert told["scan"]["chat_templates"] == ["tokenizer_config.json: chat_template default"]
    assert all(finding.passed for finding in weights.check(out))
    before, after = load_file(published / "model.safetensors"), load_file(out / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_known_architecture_comes_through(write_folder, tmp_path: Path, architecture: str) -> None:
    source = write_folder(tmp_path / "model", architecture=architecture)
    out = take(source, tmp_path / "taken")
    ids = torch.arange(40)[None] * 5
    with torch.inference_mode():
        before, after = (load_model(folder)(input_ids=ids).logits for folder in (source, out))
    assert torch.equal(before, after)


def test_a_gguf_file_gives_the_same_model_and_tokenizer(published: Path, published_gguf: Path, tmp_path: Path) -> None:
    from_folder, from_gguf = take(published, tmp_path / "folder"), take(published_gguf, tmp_path / "gguf")
    ids = torch.arange(40)[None] * 5
    with torch.inference_mode():
        one, two = (load_model(folder)(input_ids=ids).logits for folder in (from_folder, from_gguf))
    torch.testing.assert_close(one, two, rtol=0, atol=1e-5)
    tokenizers = [adopt(json.loads((out / "tokenizer.json").read_text())) for out in (from_folder, from_gguf)]
    for part in ("model", "pre_tokenizer", "added_tokens"):
        assert tokenizers[0].tokenizer[part] == tokenizers[1].tokenizer[part]
    assert tokenizers[0].origins == tokenizers[1].origins
    scan = json.loads((from_gguf / "weights.json").read_text())["scan"]
    assert (scan["format"], scan["licence"], len(scan["chat_templates"])) == ("gguf", "mit", 1)
    assert "quantization_config" not in json.loads((from_gguf / "config.json").read_text())


def test_another_licence_than_the_file_states_is_shown(published_gguf: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    config = WeightsConfig(origin="somewhere", licence="Apache-2.0")
    weights.run({"weights": published_gguf}, config, out, local_context(tmp_path / "context"))
    finite, licence = weights.check(out)
    assert finite.passed
    assert not licence.passed
    assert not licence.blocking
    assert licence.observed == {"declared": "Apache-2.0", "stated": "mit"}


def test_weights_that_are_no_numbers_are_refused_by_the_check(published: Path, tmp_path: Path) -> None:
    out = take(published, tmp_path)
    tensors = load_file(out / "model.safetensors")
    tensors["model.norm.weight"][3] = torch.inf
    save_file(tensors, out / "model.safetensors")
    assert weights.check(out)[0].observed == {"not_finite": ["model.norm.weight"]}


class Escape:
    """Unpickled, it would write a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[Path], None], tuple[Path]]:
        return Path.touch, (self.path,)


def _edit(name: str, **changes: object) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps(value | changes))

    return edit


def _template(text: str) -> Callable[[Path], None]:
    return _edit("tokenizer_config.json", chat_template=text)


def _tensors(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        tensors = load_file(folder / "model.safetensors")
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return edit


BAD: dict[str, tuple[Callable[[Path], object], str]] = {
    "pickle named safetensors": (
        lambda folder: (folder / "model.safetensors").write_bytes(pickle.dumps(Escape(folder / "harm"))),
        r"model\.safetensors is a pickle",
    ),
    "pickle beside": (
        lambda folder: (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Escape(folder / "harm"))),
        r"pytorch_model\.bin is of a format that can run code",
    ),
    "code": (lambda folder: (folder / "modeling_x.py").write_text("import os"), r"modeling_x\.py is code"),
    "auto_map": (_edit("config.json", auto_map={"AutoConfig": "x.Y"}), r"config\.json names code"),
    "auto_map of the tokenizer": (_edit("tokenizer_config.json", auto_map={}), r"tokenizer_config\.json names code"),
    "unknown architecture": (_edit("config.json", model_type="gpt5"), "model_type 'gpt5'"),
    "other sizes": (_edit("config.json", hidden_size=2**40), "asks for embeddings"),
    "other layers": (_edit("config.json", num_hidden_layers=10**9), "asks for 1000000000 layers, there are 2"),
    "no weights": (lambda folder: (folder / "model.safetensors").unlink(), r"has no \*\.safetensors"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), r"tokenizer\.json is missing"),
    "torn config": (lambda folder: (folder / "config.json").write_text('{"model_type": '), "is no JSON"),
    "nested config": (lambda folder: (folder / "config.json").write_text("[" * 100_000), "is no JSON"),
    "missing tensor": (_tensors(lambda t: t.pop("model.norm.weight")), "missing_keys"),
    "left over tensor": (_tensors(lambda t: t.update({"extra.weight": torch.zeros(2)})), "unexpected_keys"),
    "other shape": (
        _tensors(lambda t: t.update({"model.norm.weight": torch.ones(3)})), r"mismatched|size mismatch",
    ),
    "template attribute": (_template("{{ messages.__class__ }}"), "reaches out of the template in line 1"),
    "template item": (_template("a\n{{ ''['__class__']['__mro__'] }}"), "in line 2"),
    "template attr filter": (_template("{{ messages | attr('_' + '_class_' + '_') }}"), "Filter"),
    "template map filter": (_template("{{ messages | map('attr', 'x') | list }}"), "Filter"),
    "template computed name": (_template("{{ messages | map(attribute='_' ~ '_class_') | list }}"), "Filter"),
    "template selected name": (_template("{{ messages | selectattr('_x') | list }}"), "Filter"),
    "template include": (_template("{% include '/etc/passwd' %}"), "Include"),
    "template import": (_template("{% import 'os' as os %}"), "Import"),
    "torn template": (_template("{% for x in %}"), "is no Jinja template"),
    "template among several": (
        _template([{"name": "default", "template": "x"}, {"name": "tool_use", "template": "{{ x.__init__ }}"}]),  # type: ignore[arg-type]
        "chat_template tool_use",
    ),
    "template file": (
        lambda folder: (folder / "chat_template.jinja").write_text("{{ cycler.__init__.__globals__ }}"),
        r"chat_template\.jinja reaches out",
    ),
    "vocabulary of another kind": (
        _edit("tokenizer.json", model={"type": "Unigram", "vocab": {}, "merges": []}), "the tokenizer is Unigram",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_unsafe_or_unfit_weights_are_refused_by_name(published: Path, tmp_path: Path, kind: str) -> None:
    spoil, expected = BAD[kind]
    folder = Path(shutil.copytree(published, tmp_path / "model"))
    spoil(folder)
    with pytest.raises(WeightsError, match=expected):
        take(folder, tmp_path / "taken")
    assert not (folder / "harm").exists()
    assert not list((tmp_path / "taken" / "out").iterdir())


ORDINARY = """
{%- set ns = namespace(found=false) -%}
{%- for message in messages | selectattr('role', 'equalto', 'user') -%}
{{- '<|im_start|>' + message.role + '\n' + (message['content'] | trim).split('</think>')[-1].lstrip('\n') -}}
{%- if loop.last %}{% generation %}{{ message.content | tojson }}{% endgeneration %}{% else %}{% continue %}{% endif -%}
{%- endfor -%}{{ messages | map(attribute='role') | join(',') }}{{ raise_exception('x') if ns.found }}
"""


def test_an_ordinary_template_is_let_through(published: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "model"))
    (folder / "chat_template.jinja").write_text(ORDINARY)
    told = json.loads((take(folder, tmp_path / "taken") / "weights.json").read_text())
    assert "chat_template.jinja" in told["scan"]["chat_templates"]


def test_a_link_out_of_the_folder_is_refused(published: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "model"))
    (folder / "more.safetensors").symlink_to("/etc/passwd")
    with pytest.raises(IntegrityError, match="is a link"):
        take(folder, tmp_path / "taken")


def test_gguf_files_that_lie_are_refused(published_gguf: Path, tmp_path: Path) -> None:
    whole = published_gguf.read_bytes()
    for number, (data, expected) in enumerate(
        [
            (b"", "no readable GGUF"),
            (b"GGML" + whole[4:], "no readable GGUF"),
            (whole[: len(whole) // 2], "no readable GGUF|after the file"),
            (whole[:8] + (2**50).to_bytes(8, "little") + whole[16:], "no readable GGUF"),
            (whole.replace(b"smollm", b"llamab"), "tokenizer.ggml.pre = 'llamab'"),
            (whole.replace(b"m['role']", b"m.__bad__"), "reaches out"),
        ]
    ):
        path = tmp_path / f"{number}.gguf"
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=expected):
            take(path, tmp_path / str(number))


def test_the_digest_is_of_the_bytes_and_a_missing_place_is_named(published: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(published, tmp_path / "copy"))
    assert digest_of(copy) == digest_of(published)
    (copy / "README.md").write_text("Another model.\n")
    assert digest_of(copy) != digest_of(published)
    with pytest.raises(WeightsError, match="nowhere does not exist"):
        digest_of(tmp_path / "nowhere")
