"""The tokenizer inside a GGUF file, as the dictionary of a tokenizer.json."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from forge_dagster.errors import WeightsError

if TYPE_CHECKING:
    from gguf import GGUFReader

ORDINARY = 1
"""Token type of GGUF; the others are control, unused, bytes and the like."""

PRE_TOKENIZERS: dict[str, list[dict[str, Any]]] = {
    # A GGUF names how text is cut before BPE and does not say what the name means. transformers makes GPT-2's of every
    # name, which for SmolLM2 loses the splitting of digits: 92 of 161 texts came out otherwise than in llama.cpp.
    "smollm": [
        {"type": "Digits", "individual_digits": True},
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
    ],
}


def open_gguf(path: Path) -> "GGUFReader":
    """Map a GGUF file. Raises WeightsError if it is none, or lies about what it holds."""
    from gguf import GGUFReader

    try:
        reader = GGUFReader(path)
        places = sorted((int(tensor.data_offset), int(tensor.n_bytes), tensor.name) for tensor in reader.tensors)
    except (ValueError, KeyError, IndexError, TypeError, OverflowError, MemoryError) as error:
        raise WeightsError(f"{path} is no readable GGUF file: {error}", mend="fetch it again") from error
    end = 0
    for start, size, name in places:
        if start < end or start + size > path.stat().st_size:
            raise WeightsError(
                f"{path}: tensor {name} overlaps another or ends after the file", mend="fetch the file again"
            )
        end = start + size
    return reader


def field(reader: "GGUFReader", name: str) -> Any:
    """Value of a metadata field; None if there is none."""
    found = reader.get_field(name)
    return None if found is None else found.contents()


def gguf_tokenizer(path: Path) -> dict[str, Any]:
    """Return tokenizer.json. Raises WeightsError if its kind or its way of cutting text is not known here."""
    reader = open_gguf(path)
    kind, name = field(reader, "tokenizer.ggml.model"), field(reader, "tokenizer.ggml.pre")
    if kind != "gpt2" or name not in PRE_TOKENIZERS:
        raise WeightsError(
            f"{path}: tokenizer.ggml.model = {kind!r}, tokenizer.ggml.pre = {name!r}",
            rule=f"byte-level BPE (gpt2) that cuts text as one of {', '.join(PRE_TOKENIZERS)}",
            mend="take the Hugging Face folder of this model, whose tokenizer.json says how text is cut",
        )
    tokens, types, merges = (field(reader, f"tokenizer.ggml.{part}") for part in ("tokens", "token_type", "merges"))
    return {
        "version": "1.0",
        "added_tokens": [
            {"id": number, "content": token, "special": True}
            for number, (token, kind) in enumerate(zip(tokens, types, strict=True))
            if kind != ORDINARY
        ],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": PRE_TOKENIZERS[name]},
        "decoder": {"type": "ByteLevel"},
        "model": {
            "type": "BPE",
            "vocab": {token: number for number, token in enumerate(tokens)},
            "merges": [pair.split(" ") for pair in merges],
        },
    }
