"""GGUF, the format of llama.cpp: one file with weights, tokenizer and chat template; computed by llama.cpp itself."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import numpy as np

from forge_dagster.errors import VerdictError, WeightsError
from forge_dagster.export import Precision, Row, Source, reaches_the_first_token
from forge_dagster.tokens.control import CONTROL, END_ID, END_OF_TEXT_ID
from forge_dagster.tokens.gguf_tokenizer import PRE_TOKENIZERS, field, open_gguf

ARCHITECTURES = {"llama": "llama", "qwen3": "qwen3", "qwen3_moe": "qwen3moe", "mistral": "llama", "mixtral": "llama"}
"""Of transformers -> of GGUF."""
PRECISIONS = {
    "f16": Precision(tolerance=0.01, usual=True),
    "q8_0": Precision(tolerance=0.15, usual=True),
    "q4_0": Precision(tolerance=1.5, usual=False),
}
LIBRARIES = ("gguf", "xllamacpp")
FILE = "model.gguf"
BYTE_LEVEL = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
CUTS = {**PRE_TOKENIZERS, "gpt-2": [BYTE_LEVEL]}
"""How text is cut before BPE, by the name that llama.cpp has for it."""
EXPERTS = {"w1": "ffn_gate_exps", "gate_proj": "ffn_gate_exps", "w2": "ffn_down_exps", "down_proj": "ffn_down_exps",
           "w3": "ffn_up_exps", "up_proj": "ffn_up_exps"}  # fmt: skip
FORCED = 1000.0
"""Bias on a logit that no other can make up for."""
GENERATION = ("{%- generation -%}", "{%- endgeneration -%}")
"""Marks for trainers in our chat template, which llama.cpp's templates do not know."""


def make(source: Source, precision: str, out: Path) -> None:
    """Write model.gguf. Raises WeightsError if llama.cpp would read text or compute otherwise than transformers."""
    from gguf import GGUFWriter

    reaches_the_first_token(source.config)
    _positions_as_they_come(source.config)
    writer = GGUFWriter(out / FILE, ARCHITECTURES[source.architecture], use_temp_file=False)
    _add_shape(writer, source, precision)
    _add_tokenizer(writer, source.folder)
    for name, values in _tensors(source):
        _add_tensor(writer, name, values, precision)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _positions_as_they_come(config: Mapping[str, Any]) -> None:
    if (kind := config["rope_parameters"]["rope_type"]) != "default":
        raise WeightsError(
            f"the model has rope_type = {kind}",
            rule="positions are rotary as they come",
            mend="export to onnx, whose graph has them",
        )


def _add_shape(writer: Any, source: Source, precision: str) -> None:
    from gguf import LlamaFileType

    config = source.config
    writer.add_name(source.name)
    writer.add_license(" AND ".join(source.label["licences"]))
    writer.add_string("forge.label", json.dumps(source.label, sort_keys=True))
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    for add in (writer.add_key_length, writer.add_value_length, writer.add_rope_dimension_count):
        add(config["head_dim"])
    writer.add_rope_freq_base(config["rope_parameters"]["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    if "num_experts_per_tok" in config:
        writer.add_expert_count(config["num_local_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
    if "moe_intermediate_size" in config:
        writer.add_expert_feed_forward_length(config["moe_intermediate_size"])
    writer.add_file_type(LlamaFileType[f"MOSTLY_{precision.upper()}"])


def _add_tokenizer(writer: Any, folder: Path) -> None:
    from gguf import TokenType

    body = json.loads((folder / "tokenizer.json").read_bytes())
    template = json.loads((folder / "tokenizer_config.json").read_bytes())["chat_template"]
    for mark in GENERATION:
        template = template.replace(mark, "")
    tokens = sorted(body["model"]["vocab"], key=body["model"]["vocab"].__getitem__)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(_cut_as(body))
    writer.add_token_list(tokens)
    writer.add_token_types([TokenType.CONTROL if token in CONTROL else TokenType.NORMAL for token in tokens])
    writer.add_token_merges([" ".join(pair) for pair in body["model"]["merges"]])
    generation = json.loads((folder / "config.json").read_bytes())
    writer.add_bos_token_id(generation["bos_token_id"])
    writer.add_eos_token_id(generation["eos_token_id"])
    writer.add_eot_token_id(END_ID)
    writer.add_pad_token_id(generation["pad_token_id"])
    writer.add_add_bos_token(False)
    writer.add_chat_template(template)


def _cut_as(tokenizer: dict[str, Any]) -> str:
    cuts = tokenizer["pre_tokenizer"]
    parts = cuts["pretokenizers"] if cuts["type"] == "Sequence" else [cuts]
    for name, known in CUTS.items():
        if parts == known and tokenizer["normalizer"] is None and not tokenizer["model"]["ignore_merges"]:
            return name
    raise WeightsError(
        f"the tokenizer cuts text by {json.dumps(parts)[:300]}",
        rule=f"GGUF names how text is cut, and llama.cpp knows it by that name: {', '.join(CUTS)}",
        mend="export to a kind that keeps tokenizer.json: ct2 or onnx",
    )


def _tensors(source: Source) -> Iterator[tuple[str, np.ndarray]]:
    """Name in GGUF and values of each tensor, float32; experts of a layer stacked."""
    from gguf import MODEL_ARCH_NAMES, get_tensor_name_map
    from safetensors.numpy import load_file

    written = ARCHITECTURES[source.architecture]
    arch = next(key for key, name in MODEL_ARCH_NAMES.items() if name == written)
    names = get_tensor_name_map(arch, source.config["num_hidden_layers"])
    heads = {"q_proj": source.config["num_attention_heads"], "k_proj": source.config["num_key_value_heads"]}
    experts: dict[str, dict[int, np.ndarray]] = {}
    for name, stored in load_file(source.folder / "model.safetensors").items():
        values, parts = stored.astype(np.float32), name.split(".")
        if "experts" in parts:
            number, matrix = int(parts[-3]), parts[-2]
            experts.setdefault(f"blk.{parts[2]}.{EXPERTS[matrix]}.weight", {})[number] = values
            continue
        if written == "llama" and parts[-2] in heads:
            values = _interleaved(values, heads[parts[-2]])
        found = names.get_name(name, try_suffixes=(".weight",))
        if found is None:
            raise WeightsError(f"{name} has no name in GGUF", rule=f"a tensor of {written} is one that llama.cpp knows")
        yield found, values
    for name, each in experts.items():
        yield name, np.stack([each[number] for number in range(len(each))])


def _interleaved(values: np.ndarray, heads: int) -> np.ndarray:
    """llama.cpp turns neighbouring dimensions of this architecture, transformers those of two halves."""
    halves = values.reshape(heads, 2, -1, values.shape[-1])
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(values.shape))


def _add_tensor(writer: Any, name: str, values: np.ndarray, precision: str) -> None:
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType
    from gguf.quants import quantize

    wanted = GGMLQuantizationType[precision.upper()]
    if values.ndim == 1 or "ffn_gate_inp" in name:  # norms and routers are small, and decide much
        wanted = GGMLQuantizationType.F32
    elif values.shape[-1] % GGML_QUANT_SIZES[wanted][0]:
        wanted = GGMLQuantizationType.F16  # as llama.cpp does with rows that are no whole number of blocks
    writer.add_tensor(name, quantize(values, wanted), raw_dtype=wanted)


@contextmanager
def opened(folder: Path, threads: int) -> Iterator["LlamaCpp"]:
    """llama.cpp over what `make` wrote."""
    runner = LlamaCpp(folder, threads)
    try:
        yield runner
    finally:
        runner.close()


class LlamaCpp:
    """llama.cpp's server, in this process and for it alone.

    It gives log p of generated tokens only, so each scored token is one request that is forced to generate it; what
    is before it stays in the cache, and a request costs one token of work.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        import xllamacpp

        reader, secret = open_gguf(folder / FILE), token_hex()
        context = field(reader, f"{field(reader, 'general.architecture')}.context_length")
        given = xllamacpp.CommonParams()
        given.model.path, given.warmup, given.n_parallel, given.n_ctx = str(folder / FILE), False, 1, context
        given.cpuparams.n_threads = given.cpuparams_batch.n_threads = threads
        given.api_keys, given.cache_ram_mib = [secret], 0
        self._server = xllamacpp.Server(given)
        self._client = httpx.Client(
            base_url=self._server.listening_address,
            headers={"Authorization": f"Bearer {secret}"},
            timeout=None,
            trust_env=False,
        )

    def close(self) -> None:
        """End the server."""
        self._client.close()
        del self._server

    def encode(self, text: str) -> list[int]:
        asked = {"content": text, "add_special": False, "parse_special": False}
        found: list[int] = self._ask("/tokenize", asked)["tokens"]
        return found

    def conversation(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Token ids of a conversation that waits for an answer, by the template in the file."""
        prompt = self._ask("/apply-template", {"messages": list(messages)})["prompt"]
        found: list[int] = self._ask("/tokenize", {"content": prompt, "parse_special": True})["tokens"]
        return found

    def log_probabilities(self, rows: Sequence[Row]) -> list[np.ndarray]:
        return [np.array([self._log_p(row.ids, at) for at in range(row.given, len(row.ids))]) for row in rows]

    def _log_p(self, ids: Sequence[int], at: int) -> float:
        # The bias decides what is drawn; log p is that of before it.
        asked = {"n_predict": 1, "n_probs": 1, "temperature": 0, "logit_bias": [[int(ids[at]), FORCED]]}
        answer = self._server.handle_completions({"prompt": [int(each) for each in ids[:at]], **asked})
        if "choices" not in answer:
            raise VerdictError(f"llama.cpp computes no log p: {answer}", rule="each token has one")
        (said,) = answer["choices"][0]["logprobs"]["content"]
        if said["id"] != ids[at]:
            raise VerdictError(f"llama.cpp scored token {said['id']} for {ids[at]}", rule="the asked token is scored")
        return float(said["logprob"])

    def greedy(self, prompt: Sequence[int], tokens: int) -> list[int]:
        asked = {"prompt": list(prompt), "n_predict": tokens, "temperature": 0, "return_tokens": True}
        found: list[int] = self._ask("/completion", asked)["tokens"]
        return found[:-1] if found[-1:] and found[-1] in (END_OF_TEXT_ID, END_ID) else found

    def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = self._client.post(path, json=body)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found
