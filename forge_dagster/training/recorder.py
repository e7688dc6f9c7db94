"""What is written down of each step: the log in the work folder, and the line that people watch."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from forge_dagster.provenance.energy import Rapl
from forge_dagster.tokens.order import Span
from forge_dagster.training.guard import Verdict
from forge_dagster.training.learner import Learner
from forge_dagster.training.log import Log
from forge_dagster.training.meters import peak_memory
from forge_dagster.training.router import RouterCounts


class Taken(NamedTuple):
    """One step: loss in nats a token, gradient norm before clipping, share of the peak learning rates."""

    step: int
    loss: float
    norm: float
    lr: float
    verdict: Verdict


class Recorder:
    """Measures steps and writes them down."""

    def __init__(
        self,
        learner: Learner,
        path: Path,
        *,
        peak: float | None,
        validate: Callable[[], Mapping[str, float]],
        steps_done: int,
        operations: int,
    ) -> None:
        """Go on with the log in `path` after `steps_done` steps that took so many floating-point operations.

        `peak`: operations a second that the machine can do at best, None if nobody measured.
        """
        self.learner, self.log = learner, Log(path, steps_done=steps_done)
        self.routers, self.energy = RouterCounts(learner.model), Rapl()
        self.peak, self.operations = peak, operations
        self.validate, self.validation = validate, dict[str, float]()

    def step(self, taken: Taken, rows: Sequence[Sequence[Span]], *, seconds: float, validate: bool) -> str:
        """Write one row, with validation and routers if it is time for them; return it in words."""
        operations = self.learner.cost.of(rows)
        self.operations += operations
        count = sum(span.length for spans in rows for span in spans)
        row: dict[str, Any] = {"step": taken.step, "tokens": (taken.step + 1) * count}
        row |= {
            name: value for name, value in (("loss", taken.loss), ("grad_norm", taken.norm)) if math.isfinite(value)
        }
        row |= {"lr": taken.lr, "skipped": int(taken.verdict != "taken")}
        row |= {"tokens_per_second": round(count / seconds, 1)}
        if self.peak is not None:
            row["mfu"] = round(operations / seconds / self.peak, 4)
        row |= {"flops": self.operations, "peak_memory_bytes": peak_memory(self.learner.execution.device)}
        joules = self.energy.joules()
        if joules is not None:
            row["joules"] = joules
        if validate:
            row |= self._validated()
        self.log.add(row)
        return self._words(row, taken.verdict)

    def close(self) -> None:
        """End the log and stop counting."""
        self.log.close()
        self.routers.close()

    def _validated(self) -> dict[str, Any]:
        uses = self.routers.take(self.learner.total)
        self.validation = dict(self.validate())
        self.routers.forget()  # what validation itself sent through the routers
        routers = {"router": [use._asdict() for use in uses]} if uses else {}
        finite = {source: bits for source, bits in self.validation.items() if math.isfinite(bits)}
        return {f"validation/{source}": bits for source, bits in finite.items()} | routers

    def _words(self, row: Mapping[str, Any], verdict: Verdict) -> str:
        parts = [f"loss {row['loss']:.3f}" if "loss" in row else "no loss"]
        parts += [f"{source} {bits:.3f} bits/byte" for source, bits in self.validation.items()]
        parts.append(f"{row['tokens_per_second']:,.0f} tokens/s")
        if "mfu" in row:
            parts.append(f"MFU {row['mfu']:.0%}")
        return ", ".join(parts) + (f"; step skipped: {verdict}" if verdict != "taken" else "")
