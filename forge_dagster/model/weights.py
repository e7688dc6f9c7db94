"""External weights: a Hugging Face folder or a GGUF file, scanned, and converted to a plain folder of safetensors."""

import hashlib
import json
from collections.abc import Mapping
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from forge_dagster.errors import WeightsError
from forge_dagster.model.scan import ARCHITECTURES, check_config, check_template, scan_folder
from forge_dagster.model.weights_config import WeightsConfig
from forge_dagster.provenance.files import list_files, sha256_file
from forge_dagster.stage import Finding, Report, Stage, StageContext
from forge_dagster.tokens.adopt import adopt
from forge_dagster.tokens.gguf_tokenizer import field, gguf_tokenizer, open_gguf

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CHECK_NAMES = ("weights_are_finite", "licence_is_as_stated")


def run(inputs: Mapping[str, Path], config: WeightsConfig, out: Path, context: StageContext) -> Report:
    """Write config.json, model.safetensors, tokenizer.json and weights.json: origin, licence, digests, scan.

    Raises WeightsError on anything unsafe, before it is read by a library.
    """
    source = inputs["weights"]
    context.progress(0, 3, "scanning")
    if source.is_file():
        scan, load, tokenizer = _gguf(source)
        files: Mapping[str, Any] = {source.name: {"sha256": sha256_file(source), "bytes": source.stat().st_size}}
    else:
        scan, load, tokenizer = _folder(source)
        files = list_files(source)
    adopt(tokenizer)  # refuses now what could not be inherited later
    context.progress(1, 3, "loading")
    model = load()
    context.progress(2, 3, "writing")
    model.save_pretrained(out, max_shard_size="1000GB")
    (out / "model.safetensors").chmod(0o644)
    (out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False), encoding="utf-8")
    stated = {
        "version": 1,
        "origin": config.origin,
        "licence": config.licence,
        "architecture": model.config.model_type,
        "parameters": model.num_parameters(),
        "files": dict(files),
        "scan": scan,
    }
    (out / "weights.json").write_text(json.dumps(stated, indent=1, sort_keys=True), encoding="utf-8")
    return Report(counts={"parameters": model.num_parameters(), "files": len(files)})


def _folder(source: Path) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    scan = {"format": "safetensors", **scan_folder(source)}
    tokenizer = json.loads((source / "tokenizer.json").read_bytes())
    return scan, lambda: _load(source, {"dtype": "auto", "use_safetensors": True}), tokenizer


def _gguf(source: Path) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    reader = open_gguf(source)
    check_config({"model_type": field(reader, "general.architecture")})
    template = field(reader, "tokenizer.chat_template")
    if template is not None:
        check_template("tokenizer.chat_template", template)
    scan = {
        "format": "gguf",
        "tensors": len(reader.tensors),
        "types": sorted({tensor.tensor_type.name for tensor in reader.tensors}),
        "chat_templates": [] if template is None else [hashlib.sha256(template.encode()).hexdigest()],
        "licence": field(reader, "general.license"),
        "name": field(reader, "general.name"),
    }
    return scan, lambda: _load_gguf(source), gguf_tokenizer(source)


def _load_gguf(source: Path) -> "PreTrainedModel":
    import torch
    from transformers import GgufConfig

    # Without `dequantize` the weights stay quantized: transformers then neither trains nor saves them.
    quantization = GgufConfig(dequantize=True)
    options = {"gguf_file": source.name, "quantization_config": quantization, "dtype": torch.float32}
    return _load(source.parent, options)


def _load(folder: Path, options: dict[str, Any]) -> "PreTrainedModel":
    """Load without code and network. Raises WeightsError if tensors are missing, left over or of another shape."""
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    options |= {"local_files_only": True, "trust_remote_code": False, "output_loading_info": True}
    try:
        with redirect_stderr(StringIO()):  # progress bars of its own; exceptions pass through
            loaded: Any = AutoModelForCausalLM.from_pretrained(folder, **options)
    except (ValueError, KeyError, TypeError, RuntimeError, OSError) as error:
        raise WeightsError(f"{folder}: transformers cannot load it: {error}", mend="take other weights") from error
    model, told = loaded
    problems = {name: sorted(map(str, found)) for name, found in told.items() if found}
    if problems:
        raise WeightsError(
            f"{folder}: {', '.join(f'{name} {found[:3]}' for name, found in problems.items())}",
            rule=f"weights and config.json are of one model; architectures: {', '.join(ARCHITECTURES)}",
            mend="take a whole folder of one model",
        )
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return cast("PreTrainedModel", model)


def check(content: Path) -> list[Finding]:
    """Judge converted weights: every one is a number; the licence is the one that the file itself states."""
    from safetensors import safe_open

    with safe_open(content / "model.safetensors", framework="pt") as weights:
        broken = [name for name in weights.keys() if not weights.get_tensor(name).isfinite().all()]  # noqa: SIM118
    told = json.loads((content / "weights.json").read_bytes())
    stated = told["scan"].get("licence")
    return [
        Finding(name=CHECK_NAMES[0], passed=not broken, observed={"not_finite": broken}),
        Finding(
            name=CHECK_NAMES[1],
            passed=stated is None or stated.lower() == told["licence"].lower(),
            observed={"declared": told["licence"], "stated": stated},
            blocking=False,
        ),
    ]


STAGE = Stage(run=run, check=check, check_names=CHECK_NAMES)
