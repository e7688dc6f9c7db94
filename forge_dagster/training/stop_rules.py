"""When reinforcement learning ends before its time: answers that no longer vary, or a model far from where it began."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from forge_dagster.stage import Finding, FrozenModel

TRAINING = "training.json"
RAN_ON = "training_ran_to_its_end"


class StopRules(FrozenModel):
    """Bounds on means over a window of steps."""

    window: int = Field(ge=1, description="steps over which entropy and KL divergence are averaged")
    least_entropy: float = Field(ge=0, description="nats a token; below it, the answers have collapsed into one")
    most_kl: float = Field(gt=0, description="nats a token from where the model began; above it, it has run away")

    def judge(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
        """Return the rule that the last rows of a log break, if any."""
        rows = [row for row in rows if "entropy" in row and "kl" in row][-self.window :]
        if len(rows) < self.window:
            return None
        means = {name: sum(row[name] for row in rows) / self.window for name in ("entropy", "kl")}
        for name, limit, broken in (
            ("entropy", self.least_entropy, means["entropy"] < self.least_entropy),
            ("kl", self.most_kl, means["kl"] > self.most_kl),
        ):
            if broken:
                return {"figure": name, "mean": means[name], "limit": limit, "window": self.window}
        return None


def write_training(out: Path, steps: int, stopped: Mapping[str, Any] | None) -> None:
    """Write training.json: the steps that were made, and the rule that ended them early."""
    body = {"steps": steps, "stopped": stopped}
    (out / TRAINING).write_text(json.dumps(body, indent=1, sort_keys=True), encoding="utf-8")


def check_training(content: Path) -> Finding:
    """Whether the training ran to its end; one that was stopped is told and stops nothing."""
    stopped = json.loads((content / TRAINING).read_bytes())["stopped"]
    return Finding(name=RAN_ON, passed=stopped is None, observed={"stopped": stopped}, blocking=False)
