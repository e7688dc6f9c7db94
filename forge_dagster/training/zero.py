"""Training with more than one process: the Learner on DeepSpeed ZeRO 1, 2 or 3 (Rajbhandari et al. 2020).

Every process takes its rows of the batch; gradients are summed. Losses, norms and wishes are agreed on, so that all
processes decide alike; the first one writes.
"""

import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from forge_dagster.errors import RecipeError
from forge_dagster.tokens.order import Span
from forge_dagster.training.checkpoint import Checkpoint
from forge_dagster.training.learner import Learner, rates_of
from forge_dagster.training.sharded import Layout, Sharded, Sliced, groups_of

DEEPSPEED = "0.19.8"
"""The version whose layout of partitions sharded.py knows."""

COMPILED_AT_RUN_TIME = "deepspeed_shm_comm"
"""What DeepSpeed would compile, under a lock that a killed process leaves for ever, to replace gloo on one host."""


class ZeroLearner(Learner):
    """One of several processes that train a model together; torch.distributed is joined already."""

    def prepare(self) -> None:
        import deepspeed

        refuse_other_version()
        deepspeed.ops.__compatible_ops__[COMPILED_AT_RUN_TIME] = False
        self.stage, self.world, rank = self.execution.zero_stage, dist.get_world_size(), dist.get_rank()
        self.is_main = rank == 0
        if self.settings.rows % self.world:
            raise RecipeError(
                f"{self.world} processes share {self.settings.rows} rows of a batch",
                rule="every process takes as many rows of a batch as the others",
                mend="set FORGE_PROCESSES to a divisor, or change batch_tokens",
            )
        groups = groups_of(self.model)
        self.sharded = Sharded(
            groups,
            rates_of(self.settings),
            Sliced() if self.stage == 3 else Layout(),
            momentum=self.settings.muon_momentum,
            weight_decay=self.settings.weight_decay,
            dtype=self.objective.dtype,
        )
        if self.stage == 3:
            head = self.model.get_output_embeddings().weight
            deepspeed.zero.register_external_parameter(self.objective, head)
        self.engine = deepspeed.initialize(
            model=self.objective, optimizer=self.sharded, config=_config(self.stage, self.model)
        )[0]

    @property
    def _parts(self) -> list[Tensor]:
        """This process's float32 weights, group by group."""
        zero = self.engine.optimizer
        found: list[Tensor] = (
            zero.fp32_partitioned_groups_flat if self.stage == 3 else zero.single_partition_of_fp32_groups
        )
        return found

    def gradients(self, rows: Sequence[Sequence[Span]]) -> tuple[float, float]:
        share = len(rows) // self.world
        mine = rows[dist.get_rank() * share :][:share]
        loss = torch.zeros((), device=self.execution.device)
        parts = list(self.parts(mine, of=len(rows)))
        for number, (batch, part) in enumerate(parts):
            self.engine.set_gradient_accumulation_boundary(number == len(parts) - 1)
            total, nats = self.engine(batch, part)
            self.engine.backward(total * self.world)  # it takes the mean over processes of what is to be a sum
            loss += nats
        found = [
            torch.linalg.vector_norm(grad)
            for kept in self.engine.optimizer.averaged_gradients.values()
            for grad in kept
        ]
        sums = torch.stack([loss, torch.stack(found).square().sum()])
        dist.all_reduce(sums)
        norm = float(sums[1].sqrt())
        self.sharded.clip = self.settings.clip_norm / norm if norm > self.settings.clip_norm else 1.0
        return float(sums[0]), norm

    def update(self, share: float) -> None:
        self.sharded.share = share
        self.engine.step()
        self.sharded.share = None

    def skip(self) -> None:
        self.engine.step()

    def whole(self, parameters: Sequence[Tensor], *, write: bool = False) -> AbstractContextManager[Any]:
        """Have these parameters whole inside the block; with `write`, what the first process puts there stays."""
        import deepspeed

        context: AbstractContextManager[Any] = deepspeed.zero.GatheredParameters(
            list(parameters), modifier_rank=0 if write else None, enabled=self.stage == 3
        )
        return context

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """Return all that the next step depends on, to the first process alone; all call it together."""
        model: dict[str, Tensor] = {}
        for name, parameter in self.model.named_parameters():
            with self.whole([parameter]):
                if self.is_main:
                    model[name] = parameter.detach().to("cpu", copy=True)  # no GPU holds it all
        optimizer = {name: value.cpu() for name, value in self.sharded.whole_state() if self.is_main}
        return {"model": model, "optimizer": optimizer, "random": {"torch": torch.get_rng_state()}}

    def load(self, tensors: Mapping[str, Mapping[str, Tensor]]) -> None:
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                with self.whole([parameter], write=True):
                    parameter.copy_(tensors["model"][name])
        self.engine.optimizer.refresh_fp32_params()
        self.sharded.load(tensors["optimizer"], self._parts)
        torch.set_rng_state(tensors["random"]["torch"])

    @property
    def state_bytes(self) -> int:
        groups = [entry["group"] for entry in self.sharded.param_groups]
        return 4 * sum(group.numel * len(group.names) * (1 + len(group.entries)) for group in groups)

    def agree(self, *wishes: bool) -> tuple[bool, ...]:
        if not wishes:
            dist.barrier()
            return wishes
        said = torch.tensor(wishes, dtype=torch.int32, device=self.execution.device)
        dist.all_reduce(said, dist.ReduceOp.MAX)
        return tuple(bool(wish) for wish in said.tolist())

    def total(self, counts: Tensor) -> Tensor:
        sums = counts.to(self.execution.device)
        dist.all_reduce(sums)
        return sums.cpu()

    def find(self, newest: Callable[[], Checkpoint | None], at: Callable[[int], Checkpoint]) -> Checkpoint | None:
        found = newest() if self.is_main else None
        step = torch.tensor([found.step if found else -1], device=self.execution.device)
        dist.broadcast(step, 0)
        if self.is_main or int(step) < 0:
            return found
        return at(int(step))


def refuse_other_version() -> None:
    """Raise RecipeError on a DeepSpeed whose partitions nobody looked at."""
    version = importlib.metadata.version("deepspeed")
    if version != DEEPSPEED:
        raise RecipeError(
            f"deepspeed {version} is installed",
            rule=f"more than one process runs on deepspeed {DEEPSPEED}, whose partitions are known",
            mend=f"pip install deepspeed=={DEEPSPEED}, or unset FORGE_PROCESSES",
        )


def _config(stage: int, model: Any) -> dict[str, Any]:
    zero: dict[str, Any] = {"stage": stage, "overlap_comm": False, "contiguous_gradients": True}
    if stage == 3:
        zero |= {
            "sub_group_size": 10**15,  # one sub-group a group, as sharded.py takes it
            "stage3_param_persistence_threshold": 0,
            "memory_efficient_linear": False,  # it would replace torch's linear for the whole process
        }
        if hasattr(model.config, "router_aux_loss_coef"):
            # Which expert is asked differs from process to process, so a mixture's layer is fetched as one.
            zero["leaf_module"] = {"classes": [], "name_suffixes": ["mlp"]}
    return {
        "train_micro_batch_size_per_gpu": 1,
        "gradient_accumulation_steps": 1,
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "gradient_clipping": 0.0,  # sharded.py clips
        "steps_per_print": None,
    }
