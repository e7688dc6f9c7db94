"""The trainers of TRL with the checkpoint of pre-training mixed in: atomic, verified, no pickle, exact on a CPU."""

import dataclasses
import json
import random
import time
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.trainer import TRAINER_STATE_NAME

from forge_dagster.stage import StageContext
from forge_dagster.training import checkpoint

BYTES_OF_WEIGHT = 12
"""Of a trained float32 weight with the two moments of AdamW."""


class Resumable:
    """Goes before a Trainer among the bases of a class; replaces what the Trainer saves and loads."""

    def find(self, context: StageContext, identity: Mapping[str, str]) -> str | None:
        """Take up the newest checkpoint of this training; return the folder that `train` resumes from, if any.

        Raises IntegrityError if it is of another training or all are corrupt, StorageError if there is no room.
        """
        self.checkpoints, self.identity = context.work / "checkpoints", dict(identity)
        checkpoint.preflight(self.checkpoints, BYTES_OF_WEIGHT * sum(each.numel() for each in self._trained().values()))
        self.found = checkpoint.resume(self.checkpoints, identity, tell=lambda text: context.progress(0, 1, text))
        self.due = checkpoint.next_due()
        if self.found is None:
            return None
        folder = context.work / "trainer"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TRAINER_STATE_NAME).write_text(json.dumps(self.found.state["trainer"]), encoding="utf-8")
        return str(folder)

    def _trained(self: Any) -> dict[str, Tensor]:
        return {name: each.detach() for name, each in self.model.named_parameters() if each.requires_grad}

    def _save_checkpoint(self: Any, model: Any, trial: Any) -> None:
        begun = time.monotonic()
        optimizer: Any = self.optimizer.state_dict()
        numpy: Any = np.random.get_state()
        moments = {f"{number}.{name}": t for number, by in optimizer["state"].items() for name, t in by.items()}
        checkpoint.save(
            self.checkpoints,
            self.state.global_step,
            {"model": self._trained(), "optimizer": moments, "random": {"torch": torch.get_rng_state()}},
            {
                "identity": self.identity,
                "trainer": dataclasses.asdict(self.state),
                "groups": optimizer["param_groups"],
                "schedule": self.lr_scheduler.state_dict(),
                "python": random.getstate(),
                "numpy": [numpy[0], numpy[1].tolist(), *numpy[2:]],
                "tokens": getattr(self, "_total_train_tokens", None),
            },
            keep=(),
        )
        self.due = checkpoint.next_due(begun)

    def _load_from_checkpoint(self: Any, folder: str, model: Any = None) -> None:
        with torch.no_grad():
            for name, parameter in self._trained().items():
                parameter.copy_(self.found.tensors["model"][name])

    def _load_optimizer_and_scheduler(self: Any, folder: str | None) -> None:
        if folder is None:
            return
        state: dict[int, dict[str, Tensor]] = {}
        for key, tensor in self.found.tensors["optimizer"].items():
            number, _, name = key.partition(".")
            state.setdefault(int(number), {})[name] = tensor
        self.optimizer.load_state_dict({"state": state, "param_groups": self.found.state["groups"]})
        self.lr_scheduler.load_state_dict(self.found.state["schedule"])
        if self.found.state["tokens"] is not None:
            self._total_train_tokens = self.found.state["tokens"]

    def _load_rng_state(self: Any, folder: str | None) -> None:
        if folder is None:
            return
        version, internal, gauss = self.found.state["python"]
        random.setstate((version, tuple(internal), gauss))
        np.random.set_state(tuple(self.found.state["numpy"]))
        torch.set_rng_state(self.found.tensors["random"]["torch"])

    def _get_train_sampler(self: Any, *arguments: Any) -> Any:
        self.sampler = super()._get_train_sampler(*arguments)  # type: ignore[misc]
        return self.sampler

    def _init_training_state(self: Any, *arguments: Any) -> tuple[int, int]:
        """Draw again the orders of the epochs that are over: the sampler of RL draws each from one generator."""
        from trl.trainer.utils import RepeatSampler

        epochs, steps = super()._init_training_state(*arguments)  # type: ignore[misc]
        if isinstance(self.sampler, RepeatSampler):
            for _ in range(epochs):
                next(iter(self.sampler))
        return epochs, steps


@cache
def resumable(trainer: type) -> Any:
    """The class of a trainer that resumes."""
    return type(f"Resumable{trainer.__name__}", (Resumable, trainer), {})
