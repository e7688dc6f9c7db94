"""Looks at a folder of open weights before anything reads it: no pickle, no code, no template that reaches out."""

import json
import re
from pathlib import Path
from typing import Any

from forge_dagster.errors import WeightsError
from forge_dagster.model.safetensors_header import read_header
from forge_dagster.provenance.files import walk_files

ARCHITECTURES = ("llama", "mistral", "mixtral", "qwen2", "qwen3", "qwen3_moe")
"""model_type of configurations that packed pre-training is tested with."""
PICKLED = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".h5", ".msgpack")
CODE = (".py", ".pyc", ".so", ".dll", ".dylib", ".sh", ".exe")
READ = ("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
MOST_JSON = 64 << 20  # bytes
EMBEDDINGS = "model.embed_tokens.weight"
LAYER = re.compile(r"model\.layers\.(\d+)\.")


def scan_folder(folder: Path) -> dict[str, Any]:
    """Return what was looked at. Raises WeightsError on the first file or value that is unsafe or does not fit."""
    files = list(walk_files(folder))
    for path in files:
        name = path.relative_to(folder).as_posix()
        if path.suffix.lower() in PICKLED:
            raise _refused(name, "is of a format that can run code when read", "convert it to safetensors elsewhere")
        if path.suffix.lower() in CODE:
            raise _refused(name, "is code", "take weights that need none")
    config, tokenizer = (read_json(folder / name) for name in ("config.json", "tokenizer.json"))
    settings = read_json(folder / "tokenizer_config.json") if (folder / "tokenizer_config.json").exists() else {}
    check_config(config)
    for name, value in (("tokenizer_config.json", settings), ("tokenizer.json", tokenizer)):
        if "auto_map" in value:
            raise _refused(name, "names code (auto_map)", "take weights that need none")
    templates = _templates(folder, settings)
    for name, template in templates.items():
        check_template(name, template)
    weights = [path for path in files if path.suffix == ".safetensors"]
    if not weights:
        raise _refused(str(folder), "has no *.safetensors", "take weights in this format")
    shapes: dict[str, tuple[int, ...]] = {}
    for path in weights:
        shapes |= read_header(path)
    check_shapes(config, shapes)
    return {"files": len(files), "tensors": len(shapes), "chat_templates": sorted(templates)}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file. Raises WeightsError if it is missing, too large or none."""
    if not path.is_file() or path.stat().st_size > MOST_JSON:
        raise _refused(path.name, "is missing or too large", "take a whole Hugging Face folder")
    try:
        value = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise _refused(path.name, f"is no JSON: {error}", "fetch it again") from error
    if not isinstance(value, dict):
        raise _refused(path.name, "is no JSON object", "fetch it again")
    return value


def check_config(config: dict[str, Any]) -> None:
    """Refuse code and architectures that are not known."""
    if "auto_map" in config:
        raise _refused("config.json", "names code (auto_map)", "take weights that need none")
    if config.get("model_type") not in ARCHITECTURES:
        raise _refused("config.json", f"has model_type {config.get('model_type')!r}", f"one of {ARCHITECTURES}")


def check_shapes(config: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> None:
    """Refuse a configuration that asks for other sizes than the tensors have, before memory is taken for it."""
    wanted = (config.get("vocab_size"), config.get("hidden_size"))
    if shapes.get(EMBEDDINGS) != wanted:
        raise _refused("config.json", f"asks for embeddings {wanted}, there are {shapes.get(EMBEDDINGS)}", "correct it")
    layers = {int(found.group(1)) for name in shapes if (found := LAYER.match(name))}
    if layers != set(range(len(layers))) or len(layers) != config.get("num_hidden_layers"):
        raise _refused(
            "config.json", f"asks for {config.get('num_hidden_layers')} layers, there are {len(layers)}", "correct it"
        )


def check_template(name: str, template: str) -> None:
    """Refuse a chat template that could reach beyond its messages. It is parsed, never rendered, and not taken over.

    Jinja gets from any object to all of Python through attributes that begin with an underscore.
    """
    from jinja2 import TemplateSyntaxError, nodes
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(extensions=["jinja2.ext.loopcontrols"])
    # transformers adds this tag to Jinja; it marks a span and does nothing else.
    try:
        tree = environment.parse(re.sub(r"\{%-?\s*(end)?generation\s*-?%\}", "", template))
    except (TemplateSyntaxError, RecursionError) as error:
        raise _refused(name, f"is no Jinja template: {error}", "take weights with a sound template") from error
    found: list[nodes.Node] = list(tree.find_all((nodes.Import, nodes.FromImport, nodes.Include, nodes.Extends)))
    found += [node for node in tree.find_all(nodes.Getattr) if node.attr.startswith("_")]
    found += [node for node in tree.find_all(nodes.Filter) if _reaches(node)]
    found += [node for node in tree.find_all(nodes.Const) if isinstance(node.value, str) and "__" in node.value]
    if found:
        problem = f"reaches out of the template in line {found[0].lineno} ({type(found[0]).__name__})"
        raise _refused(name, problem, "remove the template")


def _reaches(node: Any) -> bool:
    """Whether a filter looks up an attribute that begins with an underscore, or one whose name is computed."""
    named = [option.value for option in node.kwargs if option.key == "attribute"]
    if node.name in ("selectattr", "rejectattr", "groupby", "map", "select", "reject"):
        named += node.args[:1]  # an attribute, or the name of another filter
    values = [getattr(value, "value", None) for value in named]
    return node.name == "attr" or any(not isinstance(v, str) or v.startswith("_") or v == "attr" for v in values)


def _templates(folder: Path, settings: dict[str, Any]) -> dict[str, str]:
    found = {path.name: path.read_text("utf-8", "replace") for path in sorted(folder.rglob("*.jinja"))}
    inside = settings.get("chat_template") or []
    named = [{"name": "default", "template": inside}] if isinstance(inside, str) else inside
    for item in named:
        found[f"tokenizer_config.json: chat_template {item.get('name')}"] = str(item.get("template"))
    return found


def _refused(name: str, problem: str, mend: str) -> WeightsError:
    return WeightsError(f"{name} {problem}", rule="open weights are safetensors and JSON, and run no code", mend=mend)
