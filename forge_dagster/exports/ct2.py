"""CTranslate2: weights of one C++ runtime for CPU and GPU, by its own converter; computed by the runtime itself."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from forge_dagster.export import Precision, Row, Source, batches, padded, scored
from forge_dagster.tokens.control import END_ID, END_OF_TEXT, END_OF_TEXT_ID
from forge_dagster.tokens.encoding import encode_batch, load_encoder

ARCHITECTURES = ("llama", "mistral", "qwen3")
PRECISIONS = {
    "int8": Precision(tolerance=0.25, usual=True),
    "float32": Precision(tolerance=0.001, usual=False),
}
LIBRARIES = ("ctranslate2",)


def make(source: Source, precision: str, out: Path) -> None:
    """Write model.bin, config.json and vocabulary.json."""
    from ctranslate2.converters import TransformersConverter

    TransformersConverter(str(source.folder)).convert(str(out), quantization=precision, force=True)
    # Our tokenizers name no token for what is unknown, and none that begins a text; the runtime reads no null.
    config = json.loads((out / "config.json").read_bytes())
    config |= {"bos_token": END_OF_TEXT, "unk_token": ""}
    (out / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")


@contextmanager
def opened(folder: Path, threads: int) -> Iterator["CTranslate2"]:
    """The runtime over what `make` wrote."""
    yield CTranslate2(folder, threads)


class CTranslate2:
    """Its generator, with the tokenizer that lies beside the weights."""

    def __init__(self, folder: Path, threads: int) -> None:
        from ctranslate2 import Generator

        self._encoder = load_encoder(folder)
        self._generator = Generator(str(folder), device="cpu", inter_threads=1, intra_threads=threads)

    def encode(self, text: str) -> list[int]:
        return encode_batch(self._encoder, [text])[0]

    def log_probabilities(self, rows: Sequence[Row]) -> list[np.ndarray]:
        found: list[np.ndarray] = []
        for batch in batches(rows, self._encoder.get_vocab_size()):
            logits = np.array(self._generator.forward_batch(padded(batch).tolist()))
            found += [scored(values, row) for values, row in zip(logits, batch, strict=True)]
        return found

    def greedy(self, prompt: Sequence[int], tokens: int) -> list[int]:
        words: Any = [self._encoder.id_to_token(each) for each in prompt]
        (result,) = self._generator.generate_batch(
            [words], max_length=tokens, sampling_topk=1, include_prompt_in_result=False,
            end_token=[END_OF_TEXT_ID, END_ID],
        )  # fmt: skip
        return list(result.sequences_ids[0])
