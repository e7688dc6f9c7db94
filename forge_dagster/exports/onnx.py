"""ONNX: one graph that any runtime of the standard takes, with keys and values in and out; computed by ONNX Runtime."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from forge_dagster.export import Precision, Row, Source, batches, padded, reaches_the_first_token, scored
from forge_dagster.tokens.control import END_ID, END_OF_TEXT_ID
from forge_dagster.tokens.encoding import encode_batch, load_encoder

ARCHITECTURES = ("llama", "mistral", "mixtral", "qwen3", "qwen3_moe")
PRECISIONS = {"float32": Precision(tolerance=0.001, usual=True)}
LIBRARIES = ("onnx", "onnxruntime", "onnxscript", "torch", "transformers")
FILE = "model.onnx"


def make(source: Source, precision: str, out: Path) -> None:
    """Write model.onnx: tokens [batch, length] and keys and values so far [layers, batch, heads, before, size] in,
    logits [batch, length, vocabulary] and keys and values with the new tokens out. Raises WeightsError."""
    from forge_dagster.model.graph import write_graph

    reaches_the_first_token(source.config)
    write_graph(source.folder, out / FILE)


@contextmanager
def opened(folder: Path, threads: int) -> Iterator["OnnxRuntime"]:
    """The runtime over what `make` wrote."""
    yield OnnxRuntime(folder, threads)


class OnnxRuntime:
    """A session, with the tokenizer that lies beside the graph."""

    def __init__(self, folder: Path, threads: int) -> None:
        from onnxruntime import InferenceSession, SessionOptions

        options = SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        self._encoder = load_encoder(folder)
        self._session = InferenceSession(str(folder / FILE), options, providers=["CPUExecutionProvider"])

    def encode(self, text: str) -> list[int]:
        return encode_batch(self._encoder, [text])[0]

    def log_probabilities(self, rows: Sequence[Row]) -> list[np.ndarray]:
        found: list[np.ndarray] = []
        for batch in batches(rows, self._encoder.get_vocab_size()):
            logits, *_ = self._step(padded(batch), *self._nothing(len(batch)))
            found += [scored(values, row) for values, row in zip(logits, batch, strict=True)]
        return found

    def greedy(self, prompt: Sequence[int], tokens: int) -> list[int]:
        said: list[int] = []
        read, keys, values = np.array([prompt], np.int64), *self._nothing(1)
        while len(said) < tokens:
            logits, keys, values = self._step(read, keys, values)
            likeliest = int(logits[0, -1].argmax())
            if likeliest in (END_OF_TEXT_ID, END_ID):
                break
            said.append(likeliest)
            read = np.array([[likeliest]], np.int64)
        return said

    def _nothing(self, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Keys and values before the first token."""
        layers, _, heads, _, size = self._session.get_inputs()[1].shape
        return (np.zeros((layers, rows, heads, 0, size), np.float32),) * 2

    def _step(self, *given: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        names = [each.name for each in self._session.get_inputs()]
        found: Any = self._session.run(None, dict(zip(names, given, strict=True)))
        return found
