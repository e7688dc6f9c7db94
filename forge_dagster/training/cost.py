"""What a training step costs: its floating-point operations, and the most this machine could do of them."""

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from forge_dagster.errors import DataError
from forge_dagster.provenance.canonical import canonical_json
from forge_dagster.provenance.files import write_atomically
from forge_dagster.tokens.order import Span
from forge_dagster.training.execution import Execution

FORMULA = "6 N a token and 12 L H Q a pair of attention (Chowdhery et al. 2022, PaLM, appendix B), causal pairs only"
COST = "cost.json"
PEAK_SIZES = (1024, 2048)
PEAK_ROUNDS = 4


class Cost:
    """Operations of a model's forward and backward pass; the optimizer's and what is computed twice do not count."""

    def __init__(self, model: PreTrainedModel) -> None:
        config: Any = model.config
        self.parameters = sum(_active(name, weight.numel(), config) for name, weight in model.named_parameters())
        self.a_token = 6 * self.parameters
        self.a_pair = 12 * config.num_hidden_layers * config.num_attention_heads * config.head_dim

    def of(self, rows: Sequence[Sequence[Span]]) -> int:
        """Return the operations of one batch; attention within each span, to what came before."""
        lengths = [span.length for spans in rows for span in spans]
        pairs = sum(length * (length + 1) // 2 for length in lengths)
        return self.a_token * sum(lengths) + self.a_pair * pairs


def write_cost(out: Path, *, tokens: int, operations: int, formula: str = FORMULA) -> None:
    """Write into a checkpoint what its stage cost: tokens that the model learned from, padding not counted."""
    body = {"tokens": tokens, "floating_point_operations": operations, "formula": formula}
    write_atomically(out / COST, canonical_json(body) + b"\n")


def read_cost(folder: Path) -> tuple[int, int]:
    """Tokens and operations of the stage that made a checkpoint. Raises DataError if it does not say."""
    path = folder / COST
    if not path.is_file():
        raise DataError(
            f"{folder} has no {COST}",
            rule="base, continued, start and sft say what they cost",
            mend="compare checkpoints of these stages",
        )
    body = json.loads(path.read_bytes())
    return body["tokens"], body["floating_point_operations"]


def _active(name: str, size: int, config: Any) -> int:
    """Weights of a parameter that each token is multiplied by."""
    if name.endswith("norm.weight"):
        return 0
    if name.endswith("embed_tokens.weight"):
        return size if config.tie_word_embeddings else 0  # a lookup, unless it is the head too
    if ".experts." in name:
        return size * config.num_experts_per_tok // config.num_local_experts
    return size


def matmul_peak(execution: Execution, cache: Path) -> float:
    """Return operations a second of a square matrix product, measured once and kept in `cache`.

    The best of a few runs and sizes: a machine that is busy meanwhile looks slower than it is.
    """
    path = cache / "matmul-peak.json"
    how = [execution.dtype, execution.threads, execution.device]
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if known.get("how") == how:
        return float(known["operations_per_second"])
    peak = max(_product_speed(size, execution) for size in PEAK_SIZES)
    write_atomically(path, json.dumps({"how": how, "operations_per_second": peak}).encode())
    return peak


def _product_speed(size: int, execution: Execution) -> float:
    left = torch.ones(size, size, dtype=getattr(torch, execution.dtype), device=execution.device)
    best = 0.0
    for _ in range(PEAK_ROUNDS):
        begun = time.perf_counter()
        torch.mm(left, left)
        if execution.device == "cuda":
            torch.cuda.synchronize()
        best = max(best, 2 * size**3 / (time.perf_counter() - begun))
    return best
