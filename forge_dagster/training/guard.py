"""Keeps a training from being spoilt: which steps are skipped, when it goes back, and when it is given up.

Every decision is a function of the losses and gradient norms seen, and all of it is saved, so that a resumed training
decides as an undisturbed one does.
"""

import math
import statistics
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from forge_dagster.errors import RecipeError

WINDOW = 128
"""Steps that a loss is compared with; half of them must be there (Groeneveld et al., OLMo-core, SkipStepOptimizer)."""
MOST_SKIPPED = 5
"""Skipped steps among WINDOW after which the training goes back."""
MOST_REWINDS = 3

Verdict = Literal["taken", "not finite", "spike"]


@dataclass
class Guard:
    """What was seen and decided so far.

    A rewind takes the weights back to an anchor, a checkpoint made every `rewind_steps` steps, and the training goes on
    with the next batch: all batches since the anchor are left out, as Chowdhery et al. 2022 (PaLM, section 5.1) did.
    """

    sigmas: float
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    skipped: list[int] = field(default_factory=list)
    rewinds: list[list[int]] = field(default_factory=list)
    """[steps done when it went back, anchor]: the batches in between left no trace in the weights."""
    anchors: list[int] = field(default_factory=list)
    """Steps done at the last two anchors, older first."""

    def judge(self, step: int, loss: float, norm: float) -> Verdict:
        """Decide on one step and remember it."""
        if not (math.isfinite(loss) and math.isfinite(norm)):
            self.skipped.append(step)
            return "not finite"
        spike = _stands_out(loss, self.losses, self.sigmas) or _stands_out(norm, self.norms, self.sigmas)
        self.losses, self.norms = [*self.losses, loss][-WINDOW:], [*self.norms, norm][-WINDOW:]
        if spike:
            self.skipped.append(step)
        return "spike" if spike else "taken"

    def must_rewind(self, step: int) -> bool:
        """Whether too many of the last steps were skipped. Raises RecipeError after the last rewind allowed."""
        since = max(step - WINDOW + 1, self.rewinds[-1][0] if self.rewinds else 0)
        recent = [skipped for skipped in self.skipped if skipped >= since]
        if len(recent) <= MOST_SKIPPED:
            return False
        if len(self.rewinds) == MOST_REWINDS:
            raise RecipeError(
                f"{len(recent)} steps up to step {step} were skipped (loss or gradient not finite, or far above those"
                f" before), after {MOST_REWINDS} rewinds to steps {[anchor for _, anchor in self.rewinds]}",
                rule=f"at most {MOST_SKIPPED} of {WINDOW} steps are skipped; a training goes back {MOST_REWINDS} times",
                mend="lower muon_lr and embedding_lr, or raise spike_sigmas if the losses in log.jsonl look sound",
            )
        return True

    def rewind(self, step: int) -> int:
        """Go back after `step`; return the anchor, at least `rewind_steps` steps before unless none is as old."""
        anchor = self.anchors[0]
        self.rewinds.append([step + 1, anchor])
        self.anchors, self.losses, self.norms = [anchor], [], []
        return anchor

    def anchor(self, steps_done: int) -> None:
        """Note that a checkpoint of this step will be kept for rewinds."""
        self.anchors = [*self.anchors, steps_done][-2:]

    def updates(self, steps: int) -> int:
        """Return how many of the first `steps` steps the weights have in them."""
        lost = {step for done, anchor in self.rewinds for step in range(anchor, done)}
        return steps - len(lost | set(self.skipped))

    def state(self) -> dict[str, Any]:
        """Return everything but the settings, as JSON."""
        return {name: value for name, value in asdict(self).items() if name != "sigmas"}


def _stands_out(value: float, before: list[float], sigmas: float) -> bool:
    if len(before) < WINDOW // 2:
        return False
    return value > statistics.fmean(before) + sigmas * statistics.stdev(before)
